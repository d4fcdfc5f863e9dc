//! The say of the program that presence is a part of: who may join a room, and commands of its own.

use std::sync::Arc;

/// The say of the program that presence is a part of. All workers share it, and call it within their turns: it must not block.
pub trait Hooks: Send + Sync {
    /// Whether a client may join a room, beside what its token says. `user` is `None` for a client that has no name. What the API
    /// orders is not asked here. Who is not in a room may read its history if it may join.
    ///
    /// # Errors
    /// It may not: the command is answered 403 with this sentence.
    fn may_join(&self, user: Option<&str>, room: &str) -> Result<(), String> {
        let _ = (user, room);
        Ok(())
    }

    /// A command that the protocol does not have; `params` is a JSON object, as it was sent. `Ok` is JSON: the answer is 200 with
    /// it as `data`. `None`: the program does not know the command either.
    ///
    /// # Errors
    /// It is not done: the command is answered 403 with this sentence.
    fn command(&self, user: Option<&str>, command: &str, params: &str) -> Option<Result<String, String>> {
        let _ = (user, command, params);
        None
    }
}

/// The hooks, if there are any.
#[derive(Clone, Default)]
pub(super) struct Hooked(pub(super) Option<Arc<dyn Hooks>>);

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hooked").field(&self.0.is_some()).finish()
    }
}
