//! What the filter is configured with: two lines, as `plan/envoy/module_filter.py` writes them.

const std = @import("std");

/// Args: timeout_ms: how long a decision is waited for; error_event: what a stream ends with whose engine failed.
pub const Settings = struct {
    timeout_ms: u64,
    error_event: []const u8,

    /// The settings, or null for a text that says none. The text is copied.
    pub fn create(text: []const u8, gpa: std.mem.Allocator) ?*Settings {
        const line = std.mem.indexOfScalar(u8, text, '\n') orelse return null;
        const timeout_ms = std.fmt.parseInt(u64, text[0..line], 10) catch return null;
        const event = std.mem.concat(gpa, u8, &.{ "data: ", text[line + 1 ..], "\n\n" }) catch return null;
        const settings = gpa.create(Settings) catch return null;
        settings.* = .{ .timeout_ms = timeout_ms, .error_event = event };
        return settings;
    }

    pub fn destroy(self: *const Settings, gpa: std.mem.Allocator) void {
        gpa.free(self.error_event);
        gpa.destroy(self);
    }
};

/// Of a route whose requests need a decision: path: what the gateway's process is asked.
pub const RouteSettings = struct {
    path: []const u8,

    /// The settings, or null for a text that says none. The text is copied.
    pub fn create(text: []const u8, gpa: std.mem.Allocator) ?*RouteSettings {
        if (text.len == 0 or text[0] != '/') return null;
        const path = gpa.dupe(u8, text) catch return null;
        const settings = gpa.create(RouteSettings) catch return null;
        settings.* = .{ .path = path };
        return settings;
    }

    pub fn destroy(self: *const RouteSettings, gpa: std.mem.Allocator) void {
        gpa.free(self.path);
        gpa.destroy(self);
    }
};

test "a path" {
    const gpa = std.testing.allocator;
    const settings = RouteSettings.create("/decide/pool/p", gpa).?;
    defer settings.destroy(gpa);
    try std.testing.expectEqualStrings("/decide/pool/p", settings.path);
    try std.testing.expectEqual(null, RouteSettings.create("", gpa));
}

test "two lines" {
    const gpa = std.testing.allocator;
    const settings = Settings.create("1500\n{\"error\":{}}", gpa).?;
    defer settings.destroy(gpa);
    try std.testing.expectEqual(1500, settings.timeout_ms);
    try std.testing.expectEqualStrings("data: {\"error\":{}}\n\n", settings.error_event);
}

test "anything else is refused" {
    for ([_][]const u8{ "", "1", "x\n{}", "-1\n{}" }) |text|
        try std.testing.expectEqual(null, Settings.create(text, std.testing.allocator));
}
