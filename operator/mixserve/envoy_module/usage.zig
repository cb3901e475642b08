//! The tokens that an answer used: the last complete "usage" object, whatever the pieces are that the answer comes in.
//!
//! A text of the model cannot look like one: its quotes are escaped.

const std = @import("std");
const search = @import("search.zig");

/// What is longer is no usage.
pub const longest = 2048;

const key = "\"usage\"";

/// Reads an answer piece by piece.
pub const Finder = struct {
    state: State = .key,
    /// How much of the key there has been.
    matched: usize = 0,
    /// Brackets of the object that are open.
    depth: usize = 0,
    /// One of them has the last complete object, the other the one that is being read.
    objects: [2]Object = .{ .{}, .{} },
    current: u1 = 0,

    const State = enum { key, colon, value, object };
    const Object = struct { bytes: [longest]u8 = undefined, length: usize = 0 };

    /// The last complete object, as JSON; empty if there has been none.
    pub fn last(self: *const Finder) []const u8 {
        const object = &self.objects[self.current];
        return object.bytes[0..object.length];
    }

    /// Go on with the next piece.
    pub fn feed(self: *Finder, bytes: []const u8) void {
        var at: usize = 0;
        while (at < bytes.len) at = switch (self.state) {
            .key => if (self.matched == 0) self.findKey(bytes, at) else self.matchKey(bytes, at),
            .colon => self.expect(':', .value, bytes, at),
            .value => self.expect('{', .object, bytes, at),
            .object => self.readObject(bytes, at),
        };
    }

    fn findKey(self: *Finder, bytes: []const u8, start: usize) usize {
        if (search.pairOf(key[0..2], bytes, start)) |at| {
            self.matched = 2;
            return at + 2;
        }
        if (bytes[bytes.len - 1] == key[0]) self.matched = 1;
        return bytes.len;
    }

    fn matchKey(self: *Finder, bytes: []const u8, at: usize) usize {
        if (bytes[at] != key[self.matched]) {
            self.matched = 0;
            return at;
        }
        self.matched += 1;
        if (self.matched == key.len) {
            self.matched = 0;
            self.state = .colon;
        }
        return at + 1;
    }

    fn expect(self: *Finder, wanted: u8, next: State, bytes: []const u8, start: usize) usize {
        const at = search.afterBlanks(bytes, start);
        if (at == bytes.len) return at;
        self.state = if (bytes[at] == wanted) next else .key;
        if (self.state != .object) return if (bytes[at] == wanted) at + 1 else at;
        self.depth = 0;
        self.objects[self.current ^ 1].length = 0;
        return at;
    }

    fn readObject(self: *Finder, bytes: []const u8, start: usize) usize {
        const bracket = search.anyOf("{}", bytes, start);
        const end = if (bracket) |at| at + 1 else bytes.len;
        if (!self.add(bytes[start..end])) {
            self.state = .key;
            return start;
        }
        if (bracket) |at| {
            if (bytes[at] == '{') self.depth += 1 else self.depth -= 1;
            if (self.depth == 0) {
                self.current ^= 1;
                self.state = .key;
            }
        }
        return end;
    }

    /// Keep more of the object; false if it gets too long.
    fn add(self: *Finder, more: []const u8) bool {
        const object = &self.objects[self.current ^ 1];
        if (more.len > longest - object.length) return false;
        @memcpy(object.bytes[object.length..][0..more.len], more);
        object.length += more.len;
        return true;
    }
};

fn expectLast(wanted: []const u8, answer: []const u8) !void {
    for (1..answer.len + 1) |size| {
        var finder: Finder = .{};
        var at: usize = 0;
        while (at < answer.len) : (at += size) finder.feed(answer[at..@min(answer.len, at + size)]);
        errdefer std.debug.print("{s} in pieces of {d}\n", .{ answer, size });
        try std.testing.expectEqualStrings(wanted, finder.last());
    }
}

test "the last complete object counts, in pieces of any size" {
    try expectLast("{\"a\":{\"b\":2}}", "{\"usage\":{\"a\":1}} {\"usage\" : {\"a\":{\"b\":2}}} {\"usage\":null} {\"usage\":{\"a\":");
}

test "the word itself is no usage" {
    try expectLast("", "{\"x\":\"usage\",\"y\":{\"usage\":-0.1,\"\\\"usage\\\":{}\":{}}}");
    try expectLast("{}", "\"\"usage\"usage\"\"usage\":{}");
}

test "what never ends is given up, and what comes after it counts" {
    var answer: [3 * longest]u8 = @splat(' ');
    @memcpy(answer[0..9], "\"usage\":{");
    @memcpy(answer[2 * longest ..][0..12], "\"usage\":{\"a\"");
    answer[2 * longest + 100] = '}';
    var finder: Finder = .{};
    finder.feed(&answer);
    try std.testing.expectEqual(93, finder.last().len);
}
