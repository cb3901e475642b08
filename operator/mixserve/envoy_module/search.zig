//! Searches that look at many bytes at once: a prompt of 200 KB, or the pieces of a stream, are mostly passed over.

const std = @import("std");

// Four registers of the oldest processors: 200 KB take 8 microseconds so, 14 with one.
const width = 64;
const Block = @Vector(width, u8);
const Mask = @Int(.unsigned, width);

/// The position of the first byte from `start` on that is one of `wanted`; null if there is none.
pub fn anyOf(comptime wanted: []const u8, bytes: []const u8, start: usize) ?usize {
    var at = start;
    while (at + width <= bytes.len) : (at += width) {
        const block: Block = bytes[at..][0..width].*;
        var found: Mask = 0;
        inline for (wanted) |byte| found |= @bitCast(block == @as(Block, @splat(byte)));
        if (found != 0) return at + @ctz(found);
    }
    while (at < bytes.len) : (at += 1) {
        inline for (wanted) |byte| if (bytes[at] == byte) return at;
    }
    return null;
}

/// The position of the first `pair` from `start` on; null if there is none.
pub fn pairOf(comptime pair: *const [2]u8, bytes: []const u8, start: usize) ?usize {
    var at = start;
    while (at + width < bytes.len) : (at += width) {
        const block: Block = bytes[at..][0..width].*;
        const next: Block = bytes[at + 1 ..][0..width].*;
        const first: Mask = @bitCast(block == @as(Block, @splat(pair[0])));
        const second: Mask = @bitCast(next == @as(Block, @splat(pair[1])));
        if (first & second != 0) return at + @ctz(first & second);
    }
    while (at + 1 < bytes.len) : (at += 1) {
        if (bytes[at] == pair[0] and bytes[at + 1] == pair[1]) return at;
    }
    return null;
}

/// Whether JSON takes the byte for nothing between its parts.
pub fn isBlank(byte: u8) bool {
    return byte == ' ' or byte == '\n' or byte == '\r' or byte == '\t';
}

/// The position of the first byte from `start` on that is no blank; the length if there is none.
pub fn afterBlanks(bytes: []const u8, start: usize) usize {
    var at = start;
    while (at < bytes.len and isBlank(bytes[at])) at += 1;
    return at;
}

test "each byte is found wherever it stands, and only from the start on" {
    var bytes: [3 * width + 5]u8 = undefined;
    for (0..bytes.len) |place| {
        @memset(&bytes, 'x');
        bytes[place] = '}';
        try std.testing.expectEqual(place, anyOf("{}", &bytes, 0));
        try std.testing.expectEqual(place, anyOf("{}", &bytes, place));
        try std.testing.expectEqual(null, anyOf("{}", &bytes, place + 1));
    }
}

test "each pair is found wherever it stands" {
    var bytes: [3 * width + 5]u8 = undefined;
    for (0..bytes.len - 1) |place| {
        @memset(&bytes, 'x');
        bytes[place] = '"';
        bytes[place + 1] = 'u';
        try std.testing.expectEqual(place, pairOf("\"u", &bytes, 0));
        try std.testing.expectEqual(null, pairOf("\"u", &bytes, place + 1));
        try std.testing.expectEqual(null, pairOf("\"u", bytes[0 .. place + 1], 0));
    }
    try std.testing.expectEqual(null, pairOf("\"u", "", 0));
}
