//! The connection to an engine: bytes pass as they are, only its end is told to the stream that it breaks off.
//!
//! Once an answer has begun, Envoy resets its stream when the engine's connection ends, and no filter can keep it from
//! that. So the end is not told to Envoy here, but to the stream's filter, which ends the stream itself.

const abi = @import("abi.zig");
const streams = @import("streams.zig");

/// At once, into the buffer that Envoy has made room in.
const most_bytes = 1 << 20;

/// There is nothing to configure, and nothing to remember of a socket.
const nothing: u8 = 0;

export fn envoy_dynamic_module_on_transport_socket_factory_config_new(_: *anyopaque, _: abi.Bytes, _: abi.Bytes, _: bool) *const u8 {
    return &nothing;
}

export fn envoy_dynamic_module_on_transport_socket_factory_config_destroy(_: *const u8) void {}

export fn envoy_dynamic_module_on_transport_socket_new(_: *const u8, _: *abi.Socket) *const u8 {
    return &nothing;
}

export fn envoy_dynamic_module_on_transport_socket_destroy(_: *const u8) void {}

export fn envoy_dynamic_module_on_transport_socket_set_callbacks(_: *abi.Socket, _: *const u8) void {}

export fn envoy_dynamic_module_on_transport_socket_on_connected(socket: *abi.Socket, _: *const u8) void {
    abi.raise(socket, .connected);
}

export fn envoy_dynamic_module_on_transport_socket_do_read(socket: *abi.Socket, _: *const u8) abi.IoResult {
    var total: u64 = 0;
    while (true) {
        var count: usize = 0;
        const status = abi.readInto(socket, most_bytes, &count);
        if (status == .again) return .{ .bytes = total };
        if (status == .failed or count == 0) return if (total == 0) end(socket, status) else later(socket, total);
        total += count;
        if (abi.shouldPause(socket)) return later(socket, total);
    }
}

/// Once more in the next turn of the event loop: what was read may begin the stream that an end would break off.
fn later(socket: *abi.Socket, total: u64) abi.IoResult {
    abi.readAgain(socket);
    return .{ .bytes = total };
}

fn end(socket: *abi.Socket, status: abi.IoStatus) abi.IoResult {
    if (streams.of(abi.connectionOfSocket(socket))) |stream| {
        // Its filter ends the stream, and Envoy then closes the connection.
        abi.schedule(stream);
        return .{};
    }
    return if (status == .failed) .{ .action = .close } else .{ .is_end = true };
}

export fn envoy_dynamic_module_on_transport_socket_do_write(socket: *abi.Socket, _: *const u8, is_end: bool) abi.IoResult {
    var total: u64 = 0;
    while (abi.unwritten(socket) > 0) {
        var count: usize = 0;
        switch (abi.writeFrom(socket, &count)) {
            .done => total += count,
            .again => return .{ .bytes = total },
            .failed => return .{ .action = .close, .bytes = total },
        }
    }
    if (is_end) abi.shutdownWrite(socket);
    return .{ .bytes = total };
}

export fn envoy_dynamic_module_on_transport_socket_close(_: *abi.Socket, _: *const u8, _: abi.ConnectionEvent, _: bool) void {}

export fn envoy_dynamic_module_on_transport_socket_get_protocol(_: *abi.Socket, _: *const u8, result: *abi.Bytes) void {
    result.* = .of("");
}

export fn envoy_dynamic_module_on_transport_socket_get_failure_reason(_: *abi.Socket, _: *const u8, result: *abi.Bytes) void {
    result.* = .of("");
}

export fn envoy_dynamic_module_on_transport_socket_can_flush_close(_: *abi.Socket, _: *const u8) bool {
    return true;
}

export fn envoy_dynamic_module_on_transport_socket_start_secure_transport(_: *abi.Socket, _: *const u8) bool {
    return false;
}
