//! What Envoy 1.40 and the module call of each other (its `abi.h`), as far as the module uses it.

const std = @import("std");

/// Bytes of one side that the other may read: while the call lasts, unless it says otherwise.
pub const Bytes = extern struct {
    pointer: ?[*]const u8,
    length: usize,

    pub fn of(text: []const u8) Bytes {
        return .{ .pointer = text.ptr, .length = text.len };
    }

    pub fn slice(self: Bytes) []const u8 {
        return if (self.pointer) |pointer| pointer[0..self.length] else "";
    }

    /// For pieces of a body, which a filter may change in place.
    pub fn mutable(self: Bytes) []u8 {
        return @constCast(self.slice());
    }
};

/// A header, or a value of the metadata with its key.
pub const Pair = extern struct {
    key: ?[*]const u8,
    key_length: usize,
    value: ?[*]const u8,
    value_length: usize,

    pub fn of(key: []const u8, value: []const u8) Pair {
        return .{ .key = key.ptr, .key_length = key.len, .value = value.ptr, .value_length = value.len };
    }

    pub fn name(self: Pair) []const u8 {
        return (Bytes{ .pointer = self.key, .length = self.key_length }).slice();
    }

    pub fn text(self: Pair) []const u8 {
        return (Bytes{ .pointer = self.value, .length = self.value_length }).slice();
    }
};

/// Envoy's objects.
pub const Stream = opaque {};
pub const Socket = opaque {};
pub const Scheduler = opaque {};

pub const Headers = enum(c_int) { request, request_trailers, response, response_trailers };
pub const Body = enum(c_int) { received_request, buffered_request, received_response, buffered_response };
pub const HeadersStatus = enum(c_int) { proceed, stop };
pub const BodyStatus = enum(c_int) { proceed, stop_and_buffer };
pub const TrailersStatus = enum(c_int) { proceed, stop };
pub const CalloutStart = enum(c_int) { started, _ };
pub const CalloutEnd = enum(c_int) { answered, _ };

pub const IoStatus = enum(c_int) { done, again, failed };
pub const ConnectionEvent = enum(c_int) { remote_close, local_close, connected };
pub const AfterIo = enum(c_int) { keep_open, close };
pub const IoResult = extern struct { action: AfterIo = .keep_open, bytes: u64 = 0, is_end: bool = false };

const envoy = struct {
    extern fn envoy_dynamic_module_callback_http_get_header(stream: *Stream, headers: Headers, key: Bytes, value: *Bytes, index: usize, count: ?*usize) bool;
    extern fn envoy_dynamic_module_callback_http_set_header(stream: *Stream, headers: Headers, key: Bytes, value: Bytes) bool;
    extern fn envoy_dynamic_module_callback_http_get_body_chunks_size(stream: *Stream, body: Body) usize;
    extern fn envoy_dynamic_module_callback_http_get_body_chunks(stream: *Stream, body: Body, into: [*]Bytes) bool;
    extern fn envoy_dynamic_module_callback_http_append_body(stream: *Stream, body: Body, bytes: Bytes) bool;
    extern fn envoy_dynamic_module_callback_http_drain_body(stream: *Stream, body: Body, count: usize) bool;
    extern fn envoy_dynamic_module_callback_get_most_specific_route_config(stream: *Stream) ?*const anyopaque;
    extern fn envoy_dynamic_module_callback_http_set_dynamic_metadata_string_batch(stream: *Stream, namespace: Bytes, values: [*]const Pair, count: usize) void;
    extern fn envoy_dynamic_module_callback_http_clear_route_cache(stream: *Stream) void;
    extern fn envoy_dynamic_module_callback_http_filter_continue_decoding(stream: *Stream) void;
    extern fn envoy_dynamic_module_callback_http_filter_http_callout(stream: *Stream, id: *u64, cluster: Bytes, headers: [*]const Pair, count: usize, body: Bytes, timeout_ms: u64) CalloutStart;
    extern fn envoy_dynamic_module_callback_http_send_response(stream: *Stream, status: u32, headers: [*]const Pair, count: usize, body: Bytes, details: Bytes) void;
    extern fn envoy_dynamic_module_callback_http_send_response_data(stream: *Stream, data: Bytes, is_end: bool) void;
    extern fn envoy_dynamic_module_callback_http_get_upstream_connection_id(stream: *Stream) u64;
    extern fn envoy_dynamic_module_callback_http_filter_scheduler_new(stream: *Stream) ?*Scheduler;
    extern fn envoy_dynamic_module_callback_http_filter_scheduler_commit(scheduler: *Scheduler, event: u64) void;
    extern fn envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler: *Scheduler) void;
    extern fn envoy_dynamic_module_callback_transport_socket_get_connection_id(socket: *Socket, id: *u64) bool;
    extern fn envoy_dynamic_module_callback_transport_socket_io_read_to_read_buffer(socket: *Socket, most: usize, count: *usize) IoStatus;
    extern fn envoy_dynamic_module_callback_transport_socket_io_write_from_write_buffer(socket: *Socket, count: *usize) IoStatus;
    extern fn envoy_dynamic_module_callback_transport_socket_io_shutdown_write(socket: *Socket) void;
    extern fn envoy_dynamic_module_callback_transport_socket_write_buffer_length(socket: *Socket) usize;
    extern fn envoy_dynamic_module_callback_transport_socket_should_drain_read_buffer(socket: *Socket) bool;
    extern fn envoy_dynamic_module_callback_transport_socket_set_is_readable(socket: *Socket) void;
    extern fn envoy_dynamic_module_callback_transport_socket_raise_event(socket: *Socket, event: ConnectionEvent) void;
};

/// The first value of a header; empty if there is none. Valid until a header is changed.
pub fn header(stream: *Stream, headers: Headers, key: []const u8) []const u8 {
    var value: Bytes = .{ .pointer = null, .length = 0 };
    if (!envoy.envoy_dynamic_module_callback_http_get_header(stream, headers, .of(key), &value, 0, null)) return "";
    return value.slice();
}

pub fn setHeader(stream: *Stream, headers: Headers, key: []const u8, value: []const u8) void {
    _ = envoy.envoy_dynamic_module_callback_http_set_header(stream, headers, .of(key), .of(value));
}

pub fn removeHeader(stream: *Stream, headers: Headers, key: []const u8) void {
    const nothing: Bytes = .{ .pointer = null, .length = 0 };
    _ = envoy.envoy_dynamic_module_callback_http_set_header(stream, headers, .of(key), nothing);
}

/// The pieces of a body, in `into` where there is room.
///
/// Returns: pieces that are valid until the body is changed; to be given to `freePieces`.
pub fn pieces(stream: *Stream, body: Body, into: []Bytes, gpa: std.mem.Allocator) []Bytes {
    const count = envoy.envoy_dynamic_module_callback_http_get_body_chunks_size(stream, body);
    const found = if (count <= into.len) into[0..count] else gpa.alloc(Bytes, count) catch outOfMemory();
    if (count == 0 or envoy.envoy_dynamic_module_callback_http_get_body_chunks(stream, body, found.ptr)) return found;
    freePieces(found, into, gpa);
    return into[0..0];
}

pub fn freePieces(found: []Bytes, into: []Bytes, gpa: std.mem.Allocator) void {
    if (found.ptr != into.ptr) gpa.free(found);
}

/// As Envoy itself ends when there is no memory.
pub fn outOfMemory() noreturn {
    @panic("mixserve: out of memory");
}

/// Put other bytes in place of the first `length` of a body.
pub fn replaceBody(stream: *Stream, body: Body, length: usize, bytes: []const u8) void {
    _ = envoy.envoy_dynamic_module_callback_http_drain_body(stream, body, length);
    if (bytes.len > 0) _ = envoy.envoy_dynamic_module_callback_http_append_body(stream, body, .of(bytes));
}

/// What the filter has made of its settings for the stream's route, which is chosen for that; null if there are none.
pub fn routeSettings(stream: *Stream) ?*const anyopaque {
    return envoy.envoy_dynamic_module_callback_get_most_specific_route_config(stream);
}

pub fn setMetadata(stream: *Stream, namespace: []const u8, values: []const Pair) void {
    const set = envoy.envoy_dynamic_module_callback_http_set_dynamic_metadata_string_batch;
    set(stream, .of(namespace), values.ptr, values.len);
}

/// Have the route chosen again when it is needed next.
pub fn clearRoute(stream: *Stream) void {
    envoy.envoy_dynamic_module_callback_http_clear_route_cache(stream);
}

/// Let a request that was held go on.
pub fn proceed(stream: *Stream) void {
    envoy.envoy_dynamic_module_callback_http_filter_continue_decoding(stream);
}

/// Ask a cluster; false if it cannot be asked. Everything that is given is copied.
pub fn ask(stream: *Stream, cluster: []const u8, headers: []const Pair, body: []const u8, timeout_ms: u64) bool {
    var id: u64 = 0;
    const call = envoy.envoy_dynamic_module_callback_http_filter_http_callout;
    return call(stream, &id, .of(cluster), headers.ptr, headers.len, .of(body), timeout_ms) == .started;
}

/// Answer instead of an engine. The stream may be gone when this returns.
pub fn answer(stream: *Stream, status: u32, headers: []const Pair, body: []const u8) void {
    const send = envoy.envoy_dynamic_module_callback_http_send_response;
    send(stream, status, headers.ptr, headers.len, .of(body), .of("gateway_answered"));
}

/// Send more of an answer that has begun. With `is_end` the stream may be gone when this returns.
pub fn sendMore(stream: *Stream, bytes: []const u8, is_end: bool) void {
    envoy.envoy_dynamic_module_callback_http_send_response_data(stream, .of(bytes), is_end);
}

/// Of the connection to the engine that answers; 0 if there is none.
pub fn connectionOf(stream: *Stream) u64 {
    return envoy.envoy_dynamic_module_callback_http_get_upstream_connection_id(stream);
}

/// Have the filter of a stream called by the event loop; nothing happens if the stream is gone by then.
pub fn schedule(stream: *Stream) void {
    const scheduler = envoy.envoy_dynamic_module_callback_http_filter_scheduler_new(stream) orelse return;
    envoy.envoy_dynamic_module_callback_http_filter_scheduler_commit(scheduler, 0);
    envoy.envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler);
}

/// 0 if the socket has no connection.
pub fn connectionOfSocket(socket: *Socket) u64 {
    var id: u64 = 0;
    _ = envoy.envoy_dynamic_module_callback_transport_socket_get_connection_id(socket, &id);
    return id;
}

pub const readInto = envoy.envoy_dynamic_module_callback_transport_socket_io_read_to_read_buffer;
pub const writeFrom = envoy.envoy_dynamic_module_callback_transport_socket_io_write_from_write_buffer;
pub const shutdownWrite = envoy.envoy_dynamic_module_callback_transport_socket_io_shutdown_write;
pub const unwritten = envoy.envoy_dynamic_module_callback_transport_socket_write_buffer_length;
pub const shouldPause = envoy.envoy_dynamic_module_callback_transport_socket_should_drain_read_buffer;
pub const readAgain = envoy.envoy_dynamic_module_callback_transport_socket_set_is_readable;
pub const raise = envoy.envoy_dynamic_module_callback_transport_socket_raise_event;
