//! What the filter is configured with, as `plan/envoy/module_filter.py` writes it.

const std = @import("std");

/// For all requests: error_event: what a stream ends with whose engine failed.
pub const Settings = struct {
    error_event: []const u8,

    /// The settings, or null for a text that says none: the JSON of an error, in one line. The text is copied.
    pub fn create(text: []const u8, gpa: std.mem.Allocator) ?*Settings {
        if (text.len == 0 or text[0] != '{') return null;
        const event = std.mem.concat(gpa, u8, &.{ "data: ", text, "\n\n" }) catch return null;
        const settings = gpa.create(Settings) catch return null;
        settings.* = .{ .error_event = event };
        return settings;
    }

    pub fn destroy(self: *const Settings, gpa: std.mem.Allocator) void {
        gpa.free(self.error_event);
        gpa.destroy(self);
    }
};

/// Of a route whose requests need a decision: timeout_ms: how long it is waited for; path: what the gateway's process is
/// asked.
pub const RouteSettings = struct {
    timeout_ms: u64,
    path: []const u8,

    /// The settings, or null for a text that says none: a line for each of them. The text is copied.
    pub fn create(text: []const u8, gpa: std.mem.Allocator) ?*RouteSettings {
        const line = std.mem.indexOfScalar(u8, text, '\n') orelse return null;
        const timeout_ms = std.fmt.parseInt(u64, text[0..line], 10) catch return null;
        if (!std.mem.startsWith(u8, text[line + 1 ..], "/")) return null;
        const path = gpa.dupe(u8, text[line + 1 ..]) catch return null;
        const settings = gpa.create(RouteSettings) catch return null;
        settings.* = .{ .timeout_ms = timeout_ms, .path = path };
        return settings;
    }

    pub fn destroy(self: *const RouteSettings, gpa: std.mem.Allocator) void {
        gpa.free(self.path);
        gpa.destroy(self);
    }
};

test "an error becomes an event" {
    const gpa = std.testing.allocator;
    const settings = Settings.create("{\"error\":{}}", gpa).?;
    defer settings.destroy(gpa);
    try std.testing.expectEqualStrings("data: {\"error\":{}}\n\n", settings.error_event);
}

test "a time and a path" {
    const gpa = std.testing.allocator;
    const settings = RouteSettings.create("1500\n/decide/pool/p", gpa).?;
    defer settings.destroy(gpa);
    try std.testing.expectEqual(1500, settings.timeout_ms);
    try std.testing.expectEqualStrings("/decide/pool/p", settings.path);
}

test "anything else is refused" {
    for ([_][]const u8{ "", "1", "x" }) |text|
        try std.testing.expectEqual(null, Settings.create(text, std.testing.allocator));
    for ([_][]const u8{ "", "1", "/", "x\n/", "-1\n/", "1\n", "1\nx" }) |text|
        try std.testing.expectEqual(null, RouteSettings.create(text, std.testing.allocator));
}
