//! What `zig test` runs: all that needs no Envoy.

test {
    _ = @import("search.zig");
    _ = @import("json_text.zig");
    _ = @import("request_body.zig");
    _ = @import("usage.zig");
    _ = @import("events.zig");
    _ = @import("settings.zig");
}
