//! Presence without sockets: whole servers of nodes, their mail and their clock played by a [`rig`], an independent
//! [`model`] of what homes have to show, and [`ears`] that judge every message that a client gets. The [`simulation`] runs
//! seeds through them, and [`handover`] hands what came of some over to other servers; [`history`]
//! runs seeds of what rooms keep, against what homes say that they keep; the other modules are single stories.

mod anew;
mod announced;
mod ask;
mod big;
mod brought;
mod clock;
mod comings;
mod dice;
mod ears;
mod eyes;
mod handover;
mod history;
mod info;
mod limits;
mod loads;
mod lossy;
mod mail;
mod membership;
mod model;
mod moderation;
mod outside;
mod page;
mod people;
mod rebuilt;
mod records;
mod rest;
mod rig;
mod rooms;
mod sent_away;
mod server;
mod simulation;
mod states;
mod tells;
mod unseen;
mod veiled;
mod visibility;
mod work;
