//! Who plays what. All of it follows from a connection's number, so that nothing has to be shared or looked up.
//!
//! Connections that only watch come first, then the users. Shares are spread evenly over the users, and a room's members are
//! neighbours: so each room loses its share, and each thread has its share of everything.

/// Users that one connection may watch, and may name in one command.
const WATCHES_MAX: usize = 1024;
const PER_COMMAND_MAX: usize = 256;

/// A part of all users, spread evenly.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Share(pub f64);

impl Share {
    /// Nobody.
    pub const NONE: Share = Share(0.0);

    /// How many of the first `users` are in it.
    pub fn count(self, users: usize) -> usize {
        (users as f64 * self.0) as usize
    }

    /// Whether user `number` is.
    pub fn holds(self, number: usize) -> bool {
        self.count(number + 1) > self.count(number)
    }
}

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let share = text.parse().map_err(|_| "a share is a number from 0 to 1, as in 0.33")?;
        if (0.0..=1.0).contains(&share) { Ok(Share(share)) } else { Err("a share is from 0 to 1".to_owned()) }
    }
}

/// Everybody's part.
#[derive(Clone, Default, Debug)]
pub struct Population {
    /// What all names of users begin with.
    pub names: String,
    pub users: usize,
    /// Rooms; with none nobody joins.
    pub rooms: usize,
    /// Who joins one.
    pub joining: Share,
    /// Who falls silent.
    pub doomed: Share,
    /// The part of these that gives a last sign of life at the same moment, so that they die together.
    pub together: Share,
    /// Users that watch `watches` others each.
    pub watching: Share,
    /// At most 1,024.
    pub watches: usize,
    /// Whether connections of their own watch every user.
    pub overseen: bool,
    /// Messages said a second by all together.
    pub say_rate: f64,
}

/// What a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Connections beside the users, to watch them.
    Watcher(usize),
    User(usize),
}

impl Population {
    /// So many users who are just there.
    pub fn of(users: usize) -> Population {
        Population { names: "u".to_owned(), users, ..Population::default() }
    }

    pub fn watchers(&self) -> usize {
        if self.overseen { self.users.div_ceil(WATCHES_MAX) } else { 0 }
    }

    pub fn connections(&self) -> usize {
        self.watchers() + self.users
    }

    /// What the connection with this number is.
    pub fn role(&self, connection: usize) -> Role {
        connection.checked_sub(self.watchers()).map_or(Role::Watcher(connection), Role::User)
    }

    pub fn room(&self, user: usize) -> Option<usize> {
        (self.rooms > 0 && self.joining.holds(user)).then(|| user * self.rooms / self.users)
    }

    /// Whether a member says something: each fourth, so that the others' only signs of life are their answers to Pings.
    pub fn speaks(&self, user: usize) -> bool {
        self.joining.count(user).is_multiple_of(4) && self.joining.holds(user) && !self.doomed.holds(user)
    }

    /// Whether a user gives its last sign of life together with others.
    pub fn dies_together(&self, user: usize) -> bool {
        self.doomed.holds(user) && self.together.holds(self.doomed.count(user))
    }

    pub fn members(&self) -> usize {
        if self.rooms > 0 { self.joining.count(self.users) } else { 0 }
    }

    /// Members of a room that stay alive: a message to it has as many deliveries that count.
    pub fn living_members(&self, room: usize) -> usize {
        let first = (room * self.users).div_ceil(self.rooms);
        let end = ((room + 1) * self.users).div_ceil(self.rooms);
        (first..end).filter(|user| self.joining.holds(*user) && !self.doomed.holds(*user)).count()
    }

    /// Whom a connection watches: a list for each command.
    pub fn watched(&self, role: Role) -> Vec<Vec<usize>> {
        let watched: Vec<usize> = match role {
            Role::Watcher(index) => {
                (index * WATCHES_MAX..((index + 1) * WATCHES_MAX).min(self.users)).collect()
            }
            Role::User(user) if self.watching.holds(user) => {
                (1..=self.watches.min(self.users - 1)).map(|ahead| (user + ahead) % self.users).collect()
            }
            Role::User(_) => Vec::new(),
        };
        watched.chunks(PER_COMMAND_MAX).map(<[usize]>::to_vec).collect()
    }

    /// Watch commands of all connections, and what they watch in all.
    pub fn watch_commands(&self) -> (usize, usize) {
        let each = self.watches.min(self.users - 1);
        let watching = self.watching.count(self.users);
        let overseers =
            (0..self.watchers()).map(|index| self.watched(Role::Watcher(index)).len()).sum::<usize>();
        let overseen = if self.overseen { self.users } else { 0 };
        (overseers + watching * each.div_ceil(PER_COMMAND_MAX), overseen + watching * each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population(users: usize, rooms: usize) -> Population {
        Population {
            rooms,
            joining: Share(0.5),
            doomed: Share(0.33),
            together: Share(0.1),
            watching: Share(0.1),
            watches: 10,
            overseen: true,
            ..Population::of(users)
        }
    }

    #[test]
    fn a_share_is_spread_evenly_and_counts_what_it_holds() {
        for share in [0.0, 0.1, 0.33, 0.5, 1.0].map(Share) {
            let held: Vec<bool> = (0..15_000).map(|user| share.holds(user)).collect();
            assert_eq!(held.iter().filter(|held| **held).count(), share.count(15_000));
            let hundreds = held.chunks(100).map(|hundred| hundred.iter().filter(|held| **held).count());
            assert!(hundreds.into_iter().all(|count| count.abs_diff(share.count(100)) <= 1));
        }
        assert!("1.5".parse::<Share>().is_err() && "x".parse::<Share>().is_err());
    }

    #[test]
    fn those_who_die_together_are_a_part_of_the_doomed() {
        let population = population(15_000, 0);
        let together = (0..15_000).filter(|user| population.dies_together(*user));
        assert_eq!(together.count(), population.together.count(population.doomed.count(15_000)));
    }

    #[test]
    fn every_user_is_overseen_once_within_the_limits_of_a_connection() {
        let population = population(15_000, 0);
        assert_eq!(
            (population.watchers(), population.role(14), population.role(15)),
            (15, Role::Watcher(14), Role::User(0))
        );
        let mut seen = vec![0; population.users];
        for watcher in 0..population.watchers() {
            let commands = population.watched(Role::Watcher(watcher));
            assert!(commands.iter().all(|users| users.len() <= 256));
            assert!(commands.iter().map(Vec::len).sum::<usize>() <= 1024);
            commands.into_iter().flatten().for_each(|user| seen[user] += 1);
        }
        assert!(seen.iter().all(|count| *count == 1));
    }

    #[test]
    fn watch_commands_are_counted_as_they_are_made() {
        let population = population(2_500, 0);
        let roles = (0..population.connections()).map(|connection| population.role(connection));
        let commands: Vec<Vec<usize>> = roles.flat_map(|role| population.watched(role)).collect();
        assert_eq!(population.watch_commands(), (commands.len(), commands.iter().map(Vec::len).sum()));
    }

    #[test]
    fn rooms_hold_all_members_and_each_loses_some() {
        let population = population(1_000, 33);
        let rooms: Vec<usize> = (0..1_000).filter_map(|user| population.room(user)).collect();
        assert_eq!(rooms.len(), population.members());
        let alive = |room| {
            (0..1_000)
                .filter(|user| population.room(*user) == Some(room) && !population.doomed.holds(*user))
                .count()
        };
        assert!((50..=125).contains(&(0..1_000).filter(|user| population.speaks(*user)).count()));
        for room in 0..33 {
            assert_eq!(population.living_members(room), alive(room), "{room}");
            let all = rooms.iter().filter(|of| **of == room).count();
            assert!(all > 0 && alive(room) < all);
        }
    }
}
