//! The filters as Envoy calls them: one for each request of a client, and one for each try of it at an engine.

const std = @import("std");
const abi = @import("abi.zig");
const question = @import("question.zig");
const request_body = @import("request_body.zig");
const Answer = @import("answer.zig").Answer;
const Settings = @import("settings.zig").Settings;
const RouteSettings = @import("settings.zig").RouteSettings;

const gpa = std.heap.smp_allocator;

const Filter = struct {
    settings: *const Settings,
    scanner: request_body.Scanner = .{},
    answer: Answer = .{},

    fn feed(self: *Filter, stream: *abi.Stream) void {
        var room: [16]abi.Bytes = undefined;
        const pieces = abi.pieces(stream, .received_request, &room, gpa);
        defer abi.freePieces(pieces, &room, gpa);
        for (pieces) |piece| self.scanner.feed(piece.slice());
    }

    fn decide(self: *Filter, stream: *abi.Stream) bool {
        return question.decide(stream, &self.scanner);
    }
};

/// The filter for tries holds an answer back until there is something of it: engines send headers when they have taken a
/// request, long before its first token, and once an answer has begun Envoy neither tries again nor keeps a time limit.
/// It has nothing to remember, so there is one for all.
var of_try: Filter = .{ .settings = &for_tries };
const for_tries: Settings = .{ .error_event = "" };

export fn envoy_dynamic_module_on_http_filter_config_new(_: *anyopaque, name: abi.Bytes, text: abi.Bytes) ?*const Settings {
    if (std.mem.eql(u8, name.slice(), "try")) return &for_tries;
    return Settings.create(text.slice(), gpa);
}

export fn envoy_dynamic_module_on_http_filter_config_destroy(settings: *const Settings) void {
    if (settings != &for_tries) settings.destroy(gpa);
}

export fn envoy_dynamic_module_on_http_filter_per_route_config_new(_: abi.Bytes, text: abi.Bytes) ?*const RouteSettings {
    return RouteSettings.create(text.slice(), gpa);
}

export fn envoy_dynamic_module_on_http_filter_per_route_config_destroy(settings: *const RouteSettings) void {
    settings.destroy(gpa);
}

export fn envoy_dynamic_module_on_http_filter_new(settings: *const Settings, _: *abi.Stream) *Filter {
    if (settings == &for_tries) return &of_try;
    const filter = gpa.create(Filter) catch abi.outOfMemory();
    filter.* = .{ .settings = settings };
    return filter;
}

export fn envoy_dynamic_module_on_http_filter_destroy(filter: *Filter) void {
    if (filter == &of_try) return;
    filter.answer.free();
    gpa.destroy(filter);
}

export fn envoy_dynamic_module_on_http_filter_request_headers(stream: *abi.Stream, filter: *Filter, is_end: bool) abi.HeadersStatus {
    if (filter == &of_try) return .proceed;
    // With a body they wait for what it says.
    return if (is_end and !filter.decide(stream)) .proceed else .stop;
}

export fn envoy_dynamic_module_on_http_filter_request_body(stream: *abi.Stream, filter: *Filter, is_end: bool) abi.BodyStatus {
    if (filter == &of_try) return .proceed;
    filter.feed(stream);
    return if (is_end and !filter.decide(stream)) .proceed else .stop_and_buffer;
}

export fn envoy_dynamic_module_on_http_filter_request_trailers(stream: *abi.Stream, filter: *Filter) abi.TrailersStatus {
    if (filter == &of_try) return .proceed;
    return if (filter.decide(stream)) .stop else .proceed;
}

export fn envoy_dynamic_module_on_http_filter_http_callout_done(
    stream: *abi.Stream,
    _: *Filter,
    _: u64,
    end: abi.CalloutEnd,
    headers: ?[*]const abi.Pair,
    count: usize,
    body: ?[*]const abi.Bytes,
    body_count: usize,
) void {
    if (end != .answered or headers == null) return abi.proceed(stream);
    question.follow(stream, headers.?[0..count], if (body) |pieces| pieces[0..body_count] else &.{});
}

export fn envoy_dynamic_module_on_http_filter_response_headers(stream: *abi.Stream, filter: *Filter, is_end: bool) abi.HeadersStatus {
    // They go on with the first piece of the body.
    if (filter == &of_try) return if (is_end) .proceed else .stop;
    filter.answer.begin(stream, filter.scanner.wants_usage, is_end);
    return .proceed;
}

export fn envoy_dynamic_module_on_http_filter_response_body(stream: *abi.Stream, filter: *Filter, is_end: bool) abi.BodyStatus {
    if (filter == &of_try) return .proceed;
    filter.answer.pass(stream, is_end);
    return .proceed;
}

export fn envoy_dynamic_module_on_http_filter_response_trailers(_: *abi.Stream, filter: *Filter) abi.TrailersStatus {
    if (filter != &of_try) filter.answer.leave();
    return .proceed;
}

/// From the socket of the engine (`engine_socket.zig`): its connection has ended.
export fn envoy_dynamic_module_on_http_filter_scheduled(stream: *abi.Stream, filter: *Filter, _: u64) void {
    filter.answer.breakOff(stream, filter.settings.error_event);
}

/// Before the log is written, also when the client has left.
export fn envoy_dynamic_module_on_http_filter_stream_complete(stream: *abi.Stream, filter: *Filter) void {
    if (filter == &of_try) return;
    const used = filter.answer.usage.last();
    const told = [_]abi.Pair{ .of("usage", used), .of("state", "broken_off") };
    const first: usize = if (used.len > 0) 0 else 1;
    const end: usize = if (filter.answer.is_broken) 2 else 1;
    if (first < end) abi.setMetadata(stream, question.namespace, told[first..end]);
}

// What Envoy looks for and the filter has no use of.

export fn envoy_dynamic_module_on_http_filter_http_stream_headers(_: *abi.Stream, _: *Filter, _: u64, _: *anyopaque, _: usize, _: bool) void {}

export fn envoy_dynamic_module_on_http_filter_http_stream_data(_: *abi.Stream, _: *Filter, _: u64, _: *anyopaque, _: usize, _: bool) void {}

export fn envoy_dynamic_module_on_http_filter_http_stream_trailers(_: *abi.Stream, _: *Filter, _: u64, _: *anyopaque, _: usize) void {}

export fn envoy_dynamic_module_on_http_filter_http_stream_complete(_: *abi.Stream, _: *Filter, _: u64) void {}

export fn envoy_dynamic_module_on_http_filter_http_stream_reset(_: *abi.Stream, _: *Filter, _: u64, _: c_int) void {}

export fn envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(_: *abi.Stream, _: *Filter) void {}

export fn envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(_: *abi.Stream, _: *Filter) void {}
