//! The request's way: the model's name is read from the body, and where the route says so the gateway's process is
//! asked where the request goes. What it answers is written into the metadata, from which the route is chosen again.

const std = @import("std");
const abi = @import("abi.zig");
const request_body = @import("request_body.zig");
const RouteSettings = @import("settings.zig").RouteSettings;

const gpa = std.heap.smp_allocator;

/// Of the metadata of requests.
pub const namespace = "mixserve";

/// The gateway's process. No pool can be called so.
const gateway = "@gateway";

const overrides = [_][]const u8{ "x-mixserve-tier", "x-mixserve-pool", "x-mixserve-session" };
const labels = [_][]const u8{ "chain", "endpoints", "policy", "tier", "complexity", "cause", "reason" };
const label_prefix = "x-mixserve-";

/// Tell what was read; true if the process has been asked, and the request has to wait.
pub fn decide(stream: *abi.Stream, scanner: *const request_body.Scanner) bool {
    var name: [request_body.longest_name]u8 = undefined;
    const kind = scanner.kind();
    // A request is found by the key `model`, also where there is no name.
    const model = abi.Pair.of("model", if (kind == .named) scanner.model(&name) else "");
    const told = [_]abi.Pair{ model, .of("state", @tagName(kind)) };
    abi.setMetadata(stream, namespace, if (kind == .named) told[0..1] else &told);
    abi.clearRoute(stream);
    const found = abi.routeSettings(stream) orelse return false;
    const route: *const RouteSettings = @ptrCast(@alignCast(found));
    return ask(stream, scanner, route);
}

fn ask(stream: *abi.Stream, scanner: *const request_body.Scanner, route: *const RouteSettings) bool {
    var body: Body = .{};
    body.collect(stream, scanner.seen);
    defer body.free();
    var headers: [3 + overrides.len]abi.Pair = undefined;
    headers[0..3].* = .{ .of(":method", "POST"), .of(":path", route.path), .of(":authority", "gateway") };
    var count: usize = 3;
    for (overrides) |override| {
        const wish = abi.header(stream, .request, override);
        if (wish.len == 0) continue;
        headers[count] = .of(override, wish);
        count += 1;
    }
    const is_asked = abi.ask(stream, gateway, headers[0..count], body.whole(), route.timeout_ms);
    // Each pool of a policy has another name for its model, so none is sent: engines then take their own.
    if (is_asked and std.mem.startsWith(u8, route.path, "/decide/policy/")) body.forget(scanner.place);
    return is_asked;
}

/// A body in the pieces that Envoy has it in.
const Body = struct {
    pieces: std.ArrayList(abi.Bytes) = .empty,
    copy: []u8 = &.{},

    /// Args: length: of the body; of what is received, a part may have been buffered, or all of it.
    fn collect(self: *Body, stream: *abi.Stream, length: usize) void {
        for ([_]abi.Body{ .buffered_request, .received_request }) |source| {
            if (self.size() == length) return;
            var room: [16]abi.Bytes = undefined;
            const found = abi.pieces(stream, source, &room, gpa);
            defer abi.freePieces(found, &room, gpa);
            self.pieces.appendSlice(gpa, found) catch abi.outOfMemory();
        }
    }

    fn size(self: *const Body) usize {
        var total: usize = 0;
        for (self.pieces.items) |piece| total += piece.length;
        return total;
    }

    /// All of it in one piece; a copy only if it is in several.
    fn whole(self: *Body) []const u8 {
        if (self.pieces.items.len == 1) return self.pieces.items[0].slice();
        self.copy = gpa.alloc(u8, self.size()) catch abi.outOfMemory();
        var at: usize = 0;
        for (self.pieces.items) |piece| {
            @memcpy(self.copy[at..][0..piece.length], piece.slice());
            at += piece.length;
        }
        return self.copy;
    }

    /// Put an empty string in the name's place, and blanks for the rest: the length stays.
    fn forget(self: *Body, place: request_body.Place) void {
        var start: usize = 0;
        for (self.pieces.items) |piece| {
            const bytes = piece.mutable();
            const first = @max(place.first, start);
            const end = @min(place.end + 1, start + bytes.len);
            for (first..@max(first, end)) |at| bytes[at - start] = if (at == place.first) '"' else ' ';
            start += bytes.len;
        }
    }

    fn free(self: *Body) void {
        self.pieces.deinit(gpa);
        gpa.free(self.copy);
    }
};

/// Go on as the process has answered. Without an answer the route that there is says what becomes of the request.
pub fn follow(stream: *abi.Stream, headers: []const abi.Pair, body: []const abi.Bytes) void {
    if (valueOf(headers, "x-mixserve-refused") != null) return refuse(stream, headers, body);
    if (valueOf(headers, "x-mixserve-decided") != null) {
        var values: [labels.len]abi.Pair = undefined;
        var count: usize = 0;
        for (labels) |label| {
            const value = labelIn(headers, label) orelse continue;
            values[count] = .of(label, value);
            count += 1;
        }
        abi.setMetadata(stream, namespace, values[0..count]);
        if (valueOf(headers, "x-mixserve-first-byte-timeout-ms")) |limit|
            abi.setHeader(stream, .request, "x-envoy-upstream-rq-per-try-timeout-ms", limit);
        abi.clearRoute(stream);
    }
    abi.proceed(stream);
}

/// The process answers instead of an engine.
fn refuse(stream: *abi.Stream, headers: []const abi.Pair, body: []const abi.Bytes) void {
    abi.setMetadata(stream, namespace, &.{.of("state", "answered")});
    const status = std.fmt.parseInt(u32, valueOf(headers, ":status") orelse "", 10) catch 500;
    var text: std.ArrayList(u8) = .empty;
    defer text.deinit(gpa);
    for (body) |piece| text.appendSlice(gpa, piece.slice()) catch abi.outOfMemory();
    const retry_after = valueOf(headers, "retry-after");
    const told = [_]abi.Pair{ .of("content-type", "application/json"), .of("retry-after", retry_after orelse "") };
    abi.answer(stream, status, if (retry_after == null) told[0..1] else &told, text.items);
}

fn valueOf(headers: []const abi.Pair, name: []const u8) ?[]const u8 {
    for (headers) |header| if (std.mem.eql(u8, header.name(), name)) return header.text();
    return null;
}

fn labelIn(headers: []const abi.Pair, label: []const u8) ?[]const u8 {
    for (headers) |header| {
        const name = header.name();
        if (std.mem.startsWith(u8, name, label_prefix) and std.mem.eql(u8, name[label_prefix.len..], label))
            return header.text();
    }
    return null;
}
