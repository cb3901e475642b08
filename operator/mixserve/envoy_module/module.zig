//! What Envoy loads: a filter for clients' requests, and a transport socket for the connections to engines.

const std = @import("std");

/// A text and a trap: Envoy then writes its own stack.
pub const panic = std.debug.simple_panic;

comptime {
    _ = @import("http_filter.zig");
    _ = @import("engine_socket.zig");
}

/// Of the interface. Envoy takes any, and warns where it is not its own.
export fn envoy_dynamic_module_on_program_init() [*:0]const u8 {
    return "v0.2.0";
}
