//! The paths of the API, and by which method each is asked.

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
    Say(&'a str),
    ForceJoin(&'a str, bool),
    RoomBan(&'a str),
    Banned(&'a str, &'a str),
    Broadcast,
    Stats,
    Memory,
}

/// The method of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    /// Or by HEAD.
    Get,
    Post,
    Delete,
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

    pub(super) const fn method(self) -> Method {
        match self {
            Path::Users | Path::User(_) | Path::Rooms | Path::Room(_) | Path::Stats | Path::Memory => {
                Method::Get
            }
            Path::UserBan(_) | Path::Banned(..) => Method::Delete,
            _ => Method::Post,
        }
    }

    pub(super) const fn allow(self) -> &'static str {
        match self.method() {
            Method::Get => "GET, HEAD, OPTIONS",
            Method::Post => "POST, OPTIONS",
            Method::Delete => "DELETE, OPTIONS",
        }
    }
}
