//! What routing needs of a request's body, found while the body passes: the model's name and a wish for usage.
//!
//! Only strings and brackets are looked at, so that a long prompt costs little; what else is wrong the engine says.

const std = @import("std");
const json_text = @import("json_text.zig");
const search = @import("search.zig");

/// Longer than any name of a model: a stranger's text must not fill the log.
pub const longest_name = 256;

/// Each character may be written as an escape of six.
const escape = 6;

/// A key of this many characters or more is none that matters.
const longest_key = "stream_options".len + 2;

/// Where a name stands in the body, without its quotes.
pub const Place = struct { first: usize, end: usize };

/// What the body is.
pub const Kind = enum { broken, nameless, named };

/// Reads a body piece by piece. What Python's JSON parser takes for the last `model` at the top is the name.
pub const Scanner = struct {
    state: State = .start,
    /// Brackets that are open.
    depth: usize = 0,
    /// Bytes of the pieces before this one.
    seen: usize = 0,
    /// Whether the next byte of a string has a backslash before it.
    is_escaped: bool = false,
    /// Whether what is open at depth 2 is the object `stream_options`.
    in_options: bool = false,
    /// Whose colon or value comes next.
    key: Key = .model,
    /// How much of `true` there has been.
    matched: usize = 0,
    /// The key that is being read, or was read last.
    key_text: Text(escape * longest_key) = .{},
    name: Text(escape * longest_name) = .{},
    place: Place = .{ .first = 0, .end = 0 },
    /// Whether the client wants a stream's last event, which has the usage and no choices.
    wants_usage: bool = false,

    const State = enum { start, between, passed_text, key_text, name_text, colon, value, literal, end, broken };
    const Key = enum { model, stream_options, include_usage };

    /// Go on with the next piece.
    pub fn feed(self: *Scanner, bytes: []const u8) void {
        var at: usize = 0;
        while (at < bytes.len and self.state != .broken) at = switch (self.state) {
            .start => self.begin(bytes, at),
            .between => self.findNext(bytes, at),
            .passed_text => self.passText(bytes, at),
            .key_text => self.readKey(bytes, at),
            .name_text => self.readName(bytes, at),
            .colon => self.findColon(bytes, at),
            .value => self.takeValue(bytes, at),
            .literal => self.matchTrue(bytes, at),
            .end => self.expectNothing(bytes, at),
            .broken => unreachable,
        };
        self.seen += bytes.len;
    }

    /// What the body is, when all of it has been fed.
    pub fn kind(self: *const Scanner) Kind {
        if (self.state != .end) return .broken;
        return if (self.name.length == 0) .nameless else .named;
    }

    /// The name, as it is meant, in printable ASCII; empty if there is none.
    pub fn model(self: *const Scanner, into: *[longest_name]u8) []u8 {
        return json_text.plain(self.name.slice(), into);
    }

    fn begin(self: *Scanner, bytes: []const u8, start: usize) usize {
        const at = search.afterBlanks(bytes, start);
        if (at == bytes.len) return at;
        self.state = if (bytes[at] == '{') .between else .broken;
        self.depth = 1;
        return at + 1;
    }

    fn findNext(self: *Scanner, bytes: []const u8, start: usize) usize {
        const at = search.anyOf("\"{}[]", bytes, start) orelse return bytes.len;
        switch (bytes[at]) {
            '"' => {
                const may_be_key = self.depth == 1 or (self.depth == 2 and self.in_options);
                self.state = if (may_be_key) .key_text else .passed_text;
                self.key_text.length = 0;
            },
            '{', '[' => self.depth += 1,
            else => {
                self.depth -= 1;
                if (self.depth == 0) self.state = .end;
                if (self.depth == 1) self.in_options = false;
            },
        }
        return at + 1;
    }

    fn passText(self: *Scanner, bytes: []const u8, start: usize) usize {
        const end = self.stringEnd(bytes, start);
        if (end < bytes.len) self.state = .between;
        return @min(end + 1, bytes.len);
    }

    fn readKey(self: *Scanner, bytes: []const u8, start: usize) usize {
        const end = self.stringEnd(bytes, start);
        self.key_text.add(bytes[start..end]);
        if (end < bytes.len) {
            self.state = .between;
            if (self.known()) |key| {
                self.state = .colon;
                self.key = key;
            }
        }
        return @min(end + 1, bytes.len);
    }

    fn readName(self: *Scanner, bytes: []const u8, start: usize) usize {
        const end = self.stringEnd(bytes, start);
        self.name.add(bytes[start..end]);
        if (end < bytes.len) {
            self.place.end = self.seen + end;
            self.state = .between;
        }
        return @min(end + 1, bytes.len);
    }

    /// Where the quote is that ends a string which `bytes[start]` is in; the length if it comes later.
    fn stringEnd(self: *Scanner, bytes: []const u8, start: usize) usize {
        var at = start;
        while (at < bytes.len) {
            if (self.is_escaped) {
                self.is_escaped = false;
                at += 1;
                continue;
            }
            at = search.anyOf("\"\\", bytes, at) orelse return bytes.len;
            if (bytes[at] == '"') return at;
            self.is_escaped = true;
            at += 1;
        }
        return bytes.len;
    }

    /// Which key the string is that was read; null if it is none that matters.
    fn known(self: *const Scanner) ?Key {
        const text = self.key_text.slice();
        if (self.depth == 2) return if (json_text.says(text, "include_usage")) .include_usage else null;
        if (json_text.says(text, "model")) return .model;
        return if (json_text.says(text, "stream_options")) .stream_options else null;
    }

    fn findColon(self: *Scanner, bytes: []const u8, start: usize) usize {
        const at = search.afterBlanks(bytes, start);
        if (at == bytes.len) return at;
        // Without a colon it was a value.
        self.state = if (bytes[at] == ':') .value else .between;
        return if (bytes[at] == ':') at + 1 else at;
    }

    fn takeValue(self: *Scanner, bytes: []const u8, start: usize) usize {
        const at = search.afterBlanks(bytes, start);
        if (at == bytes.len) return at;
        self.state = .between;
        switch (self.key) {
            .model => {
                self.name.length = 0;
                if (bytes[at] != '"') return at;
                self.state = .name_text;
                self.place.first = self.seen + at + 1;
                return at + 1;
            },
            .stream_options => {
                self.wants_usage = false;
                self.in_options = bytes[at] == '{';
            },
            .include_usage => {
                self.wants_usage = false;
                self.state = .literal;
                self.matched = 0;
            },
        }
        return at;
    }

    fn matchTrue(self: *Scanner, bytes: []const u8, at: usize) usize {
        const literal = "true";
        if (bytes[at] != literal[self.matched]) {
            self.state = .between;
            return at;
        }
        self.matched += 1;
        if (self.matched == literal.len) {
            self.wants_usage = true;
            self.state = .between;
        }
        return at + 1;
    }

    fn expectNothing(self: *Scanner, bytes: []const u8, start: usize) usize {
        const at = search.afterBlanks(bytes, start);
        if (at < bytes.len) self.state = .broken;
        return at;
    }
};

/// A string, as far as it matters.
fn Text(comptime capacity: usize) type {
    return struct {
        bytes: [capacity]u8 = undefined,
        length: usize = 0,

        fn add(self: *@This(), more: []const u8) void {
            const fits = @min(more.len, capacity - self.length);
            @memcpy(self.bytes[self.length..][0..fits], more[0..fits]);
            self.length += fits;
        }

        fn slice(self: *const @This()) []const u8 {
            return self.bytes[0..self.length];
        }
    };
}

fn expect(kind: Kind, name: []const u8, body: []const u8) !void {
    for (1..@min(body.len, 40) + 1) |size| {
        var scanner: Scanner = .{};
        var at: usize = 0;
        while (at < body.len) : (at += size) scanner.feed(body[at..@min(body.len, at + size)]);
        errdefer std.debug.print("{s} in pieces of {d}\n", .{ body, size });
        try std.testing.expectEqual(kind, scanner.kind());
        if (kind == .broken) continue;
        var into: [longest_name]u8 = undefined;
        try std.testing.expectEqualStrings(name, scanner.model(&into));
        if (kind == .named and std.mem.indexOfScalar(u8, body, '\\') == null)
            try std.testing.expectEqualStrings(name, body[scanner.place.first..scanner.place.end]);
    }
}

test "the last model at the top is the name" {
    try expect(.named, "a", "{\"messages\":[{\"model\":\"x\"}],\"model\":\"b\",\"model\" : \"a\", \"y\":{\"model\":\"x\"}}");
    try expect(.named, "org/a", "{\"\\u006dodel\":\"org\\/a\"}");
    try expect(.named, "a", "{\"x\":\"model\",\"y\":\"\\\"model\\\":\\\"b\\\"\\\\\",\"model\":\"a\"}  \n");
}

test "what is no text is no name" {
    try expect(.nameless, "", "{}");
    try expect(.nameless, "", "{\"model\":\"\"}");
    try expect(.nameless, "", "{\"model\":\"a\",\"model\":5}");
    try expect(.nameless, "", "{\"model\":{\"model\":\"a\"}}");
}

test "what is no object is broken" {
    for ([_][]const u8{ " ", "[1]", "{", "{}}", "{\"model\":\"a", "{\"model\":\"a\"} x", "\"model\"", "{\"a\":\"\\\"}" }) |body|
        try expect(.broken, "", body);
    const scanner: Scanner = .{};
    try std.testing.expectEqual(.broken, scanner.kind());
}

fn expectWish(wanted: bool, body: []const u8) !void {
    for (1..body.len + 1) |size| {
        var scanner: Scanner = .{};
        var at: usize = 0;
        while (at < body.len) : (at += size) scanner.feed(body[at..@min(body.len, at + size)]);
        errdefer std.debug.print("{s} in pieces of {d}\n", .{ body, size });
        try std.testing.expectEqual(wanted, scanner.wants_usage);
    }
}

test "usage is wished for in one place only" {
    try expectWish(true, "{\"stream_options\" : {\"x\":[{}], \"include_usage\" : true }}");
    try expectWish(true, "{\"messages\":[{\"content\":\"include_usage\"}],\"stream_options\":{\"include_usage\":true}}");
    try expectWish(false, "{\"include_usage\":true}");
    try expectWish(false, "{\"x\":{\"stream_options\":{\"include_usage\":true}}}");
    try expectWish(false, "{\"stream_options\":{\"x\":{\"include_usage\":true}}}");
    try expectWish(false, "{\"stream_options\":{\"include_usage\":false}}");
    try expectWish(false, "{\"stream_options\":{\"include_usage\":true},\"stream_options\":null}");
    try expectWish(false, "{\"stream_options\":{\"include_usage\":true,\"include_usage\":\"true\"}}");
    try expectWish(false, "{\"stream_options\":[{\"include_usage\":true}]}");
    try expectWish(false, "{\"stream_options\":{},\"x\":{\"include_usage\":true}}");
}

test "a name of any length is cut" {
    var body: [4000]u8 = @splat('x');
    @memcpy(body[0..10], "{\"model\":\"");
    @memcpy(body[body.len - 2 ..], "\"}");
    var scanner: Scanner = .{};
    scanner.feed(&body);
    var into: [longest_name]u8 = undefined;
    try std.testing.expectEqual(longest_name, scanner.model(&into).len);
    try std.testing.expectEqual(body.len - 2, scanner.place.end);
}
