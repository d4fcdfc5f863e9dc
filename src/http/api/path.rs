//! The paths of the API, and by which methods each is asked.

/// A path, with its names still encoded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    Users,
    User(&'a str),
    Tell(&'a str),
    Disconnect(&'a str),
    UserBan(&'a str),
    Rooms,
    Room(&'a str),
    History(&'a str),
    Say(&'a str),
    ForceJoin(&'a str, bool),
    RoomBan(&'a str),
    Banned(&'a str, &'a str),
    Broadcast,
    Stats,
    Memory,
}

impl Path<'_> {
    /// An encoded slash is part of a name: paths are split before they are decoded.
    pub(super) fn parse(path: &str) -> Option<Path<'_>> {
        let parts: Vec<&str> = path.strip_prefix("/api/v1/")?.splitn(5, '/').collect();
        Some(match parts[..] {
            ["users"] => Path::Users,
            ["users", user] => Path::User(user),
            ["users", user, "tell"] => Path::Tell(user),
            ["users", user, "disconnect"] => Path::Disconnect(user),
            ["users", user, "ban"] => Path::UserBan(user),
            ["rooms"] => Path::Rooms,
            ["rooms", room] => Path::Room(room),
            ["rooms", room, "history"] => Path::History(room),
            ["rooms", room, "say"] => Path::Say(room),
            ["rooms", room, "join"] => Path::ForceJoin(room, true),
            ["rooms", room, "leave"] => Path::ForceJoin(room, false),
            ["rooms", room, "ban"] => Path::RoomBan(room),
            ["rooms", room, "ban", user] => Path::Banned(room, user),
            ["broadcast"] => Path::Broadcast,
            ["stats"] => Path::Stats,
            ["memory"] => Path::Memory,
            _ => return None,
        })
    }

    /// The methods by which it is asked; where it is read by GET, also by HEAD.
    pub(super) const fn allow(self) -> &'static str {
        match self {
            Path::Users | Path::Rooms | Path::History(_) | Path::Stats | Path::Memory => "GET, HEAD, OPTIONS",
            Path::User(_) | Path::Room(_) => "GET, HEAD, DELETE, OPTIONS",
            Path::UserBan(_) | Path::Banned(..) => "DELETE, OPTIONS",
            _ => "POST, OPTIONS",
        }
    }

    /// Whether a method that asks or changes something is one of them.
    pub(super) fn is_allowed(self, method: &str) -> bool {
        method != "OPTIONS" && self.allow().split(", ").any(|allowed| allowed == method)
    }
}
