//! Strings of JSON as they are meant: what stands between their quotes may have escapes.

const std = @import("std");

/// What has no place in a name, since a stranger's text must not disturb the log.
const odd = '?';

/// The text in ASCII, as much of it as `into` has room for; everything that is no printable ASCII becomes "?".
pub fn plain(raw: []const u8, into: []u8) []u8 {
    var length: usize = 0;
    var at: usize = 0;
    while (at < raw.len and length < into.len) : (length += 1) {
        const meant, const after = character(raw, at);
        into[length] = if (std.ascii.isPrint(meant)) meant else odd;
        at = after;
    }
    return into[0..length];
}

/// Whether the text is meant to be `wanted`, which is printable ASCII.
pub fn says(raw: []const u8, comptime wanted: []const u8) bool {
    if (std.mem.indexOfScalar(u8, raw, '\\') == null) return std.mem.eql(u8, raw, wanted);
    var meant: [wanted.len + 1]u8 = undefined;
    return std.mem.eql(u8, plain(raw, &meant), wanted);
}

/// The character at `at`, and where the next one begins.
fn character(raw: []const u8, at: usize) struct { u8, usize } {
    if (raw[at] != '\\' or at + 1 == raw.len) return .{ raw[at], at + 1 };
    const escaped = raw[at + 1];
    switch (escaped) {
        '"', '\\', '/' => return .{ escaped, at + 2 },
        'u' => {
            if (at + 6 > raw.len) return .{ 0, raw.len };
            var code: u16 = 0;
            // Not `parseInt`, which takes signs too.
            for (raw[at + 2 .. at + 6]) |digit| code = code << 4 | (std.fmt.charToDigit(digit, 16) catch return .{ 0, at + 6 });
            return .{ std.math.cast(u8, code) orelse 0, at + 6 };
        },
        else => return .{ 0, at + 2 },
    }
}

fn expectPlain(wanted: []const u8, raw: []const u8) !void {
    var into: [8]u8 = undefined;
    try std.testing.expectEqualStrings(wanted, plain(raw, &into));
}

test "names are as they are meant" {
    try expectPlain("org/a", "org\\/a");
    try expectPlain("a\"\\b", "\\u0061\\\"\\\\b");
    try expectPlain("\\u0061", "\\\\u0061");
    try expectPlain("a??", "a\xc3\xa4");
    try expectPlain("a?b?", "a\\nb\\u4e2d");
    try expectPlain("12345678", "123456789");
}

test "escapes that end too soon are odd, not fatal" {
    try expectPlain("\\", "\\");
    try expectPlain("?", "\\u");
    try expectPlain("?", "\\u00");
    try expectPlain("?x", "\\u00g0x");
    try expectPlain("?x", "\\u+041x");
    try expectPlain("?x", "\\u0_41x");
    try expectPlain("", "");
}

test "a key may be written with escapes" {
    try std.testing.expect(says("model", "model"));
    try std.testing.expect(says("\\u006dodel", "model"));
    try std.testing.expect(!says("models", "model"));
    try std.testing.expect(!says("\\u006dodels", "model"));
    try std.testing.expect(!says("mode", "model"));
}
