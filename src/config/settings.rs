//! The settings as the server takes them, once the relations between them hold.

mod api;
mod exec;
mod history;
mod messages;
mod peers;
mod tokens;

use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::http::RouterSettings;
use crate::limits::{READ_BUFFER_BYTES, WORKERS_MAX};
use crate::outbound::jwks::KeyUrl;
use crate::presence::Rules;
use crate::reactor;
use crate::service::legacy_heartbeats::LegacyHeartbeats;
use crate::service::presence::{PresenceSettings, heartbeat_millis};
use crate::time::ticks;

use super::address::{ListenAddress, ListenEndpoint};
use super::api_keys::KeySource;
use super::keys::KeyFiles;
use super::layer::{self, Layer, LogForm, LogLevel};
use super::origin;
use super::sources::{SettingSource, Sources};
use super::tls::TlsFiles;
use super::units::{Size, Span};

/// All that the server runs by. How many workers and connections it has is decided by [`capacity`](super::capacity).
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The public endpoints, then the admin's.
    pub(crate) endpoints: Vec<ListenEndpoint>,
    /// The files of TLS, where an endpoint speaks it.
    pub(crate) tls: Option<TlsFiles>,
    /// Permissions of Unix sockets.
    pub(crate) unix_mode: u32,
    /// How many of them are public.
    pub(crate) public: usize,
    /// As asked for; `None`: as the machine and `max_connections` want it.
    pub(crate) workers: Option<usize>,
    /// As asked for; `None`: as descriptors allow.
    pub(crate) max_connections: Option<usize>,
    /// The rest of what the reactor takes.
    pub(crate) reactor: reactor::Config,
    /// The settings of the router.
    pub(crate) site: RouterSettings,
    /// The source of the API's keys, to read them again.
    pub(crate) api_keys: KeySource,
    /// The files with the keys of `site`.
    pub(crate) key_files: KeyFiles,
    /// The URL that more keys of `site` are fetched from.
    pub(crate) token_jwks: Option<KeyUrl>,
    pub(crate) log: LogForm,
    pub(crate) log_level: LogLevel,
}

impl Settings {
    /// Resolves and checks.
    ///
    /// # Errors
    /// One line that names the setting, where it was set, and what it may be.
    pub(crate) fn resolve(sources: &Sources) -> Result<Settings, String> {
        let check = Check { sources, layer: sources.merged() };
        let mut endpoints = check.endpoints()?;
        let public = endpoints.len();
        let admin = check.layer.admin_listen.as_ref().map(ListenAddress::resolve).transpose();
        endpoints.extend(admin.map_err(|error| check.at("admin-listen", &error))?);
        let api_keys = KeySource { key: check.layer.api_key.clone(), file: check.layer.api_key_file.clone() };
        let key_files = check.key_files();
        let token_jwks = check.token_jwks()?;
        let has_key = !key_files.is_empty() || token_jwks.is_some();
        check.reach(&endpoints, has_key || set(check.layer.tls_client_user))?;
        let presence = check.presence(&key_files, token_jwks.is_some())?;
        let site = RouterSettings {
            off: check.off(presence.authenticator.is_closed()),
            api: Arc::new(check.guard(&api_keys, &endpoints, public)?),
            origins: check.origins("origin", check.layer.origin.as_ref())?,
            subprotocols: check.subprotocols()?,
            public_listeners: (endpoints.len() > public).then_some(public),
            exec: check.exec(&presence.authenticator)?.map(Arc::new),
            presence: Arc::new(presence),
            ..RouterSettings::default()
        };
        Ok(Settings {
            tls: check.tls(&endpoints)?,
            unix_mode: set(check.layer.unix_mode).0,
            endpoints,
            public,
            workers: check.number("workers", check.layer.workers, 1..=WORKERS_MAX)?,
            max_connections: check.number(
                "max-connections",
                check.layer.max_connections,
                1..=CONNECTIONS_MAX,
            )?,
            reactor: check.reactor()?,
            site,
            api_keys,
            key_files,
            token_jwks,
            log: set(check.layer.log),
            log_level: set(check.layer.log_level),
        })
    }
}

/// More than any machine holds; keeps sums far from overflow.
pub(crate) const CONNECTIONS_MAX: usize = 1 << 28;

const MILLIS: fn(u64) -> Duration = Duration::from_millis;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Check<'a> {
    sources: &'a Sources,
    layer: Layer,
}

impl Check<'_> {
    fn reactor(&self) -> Result<reactor::Config, String> {
        let layer = &self.layer;
        Ok(reactor::Config {
            fd_tables: match set(layer.fd_tables) {
                layer::FdTablesFlag::Auto => reactor::FdTables::Auto,
                layer::FdTablesFlag::Private => reactor::FdTables::Private,
                layer::FdTablesFlag::Shared => reactor::FdTables::Shared,
            },
            heartbeat: self.heartbeat()?,
            handshake_timeout: self.span("handshake-timeout", layer.handshake_timeout, MILLIS(100)..=DAY)?,
            close_timeout: self.span("close-timeout", layer.close_timeout, MILLIS(100)..=DAY)?,
            drain: self.span("drain", layer.drain, Duration::ZERO..=DAY)?,
            messages: self.messages()?,
            deflate: match set(layer.deflate) {
                layer::DeflateFlag::Off => reactor::Deflate::Off,
                layer::DeflateFlag::Shared => reactor::Deflate::Shared,
                layer::DeflateFlag::PerConnection => reactor::Deflate::PerConnection,
            },
            max_head_bytes: self.size("max-header", layer.max_header, 1 << 10..=READ_BUFFER_BYTES)?,
            addresses: self.address_limits()?,
            trusted_proxies: self.trusted_proxies()?,
            trusts_unix: self.trusts_unix(),
            proxy_protocol: set(layer.proxy_protocol),
            max_memory_bytes: Some(set(layer.max_memory).0 as u64).filter(|bytes| *bytes > 0),
            message_timeout: self.span("message-timeout", layer.message_timeout, MILLIS(100)..=DAY)?,
            max_backlog_bytes: self.backlog()?,
            ..reactor::Config::default()
        })
    }

    fn heartbeat(&self) -> Result<reactor::Heartbeat, String> {
        let layer = &self.layer;
        Ok(reactor::Heartbeat {
            mode: match set(layer.heartbeat) {
                layer::HeartbeatFlag::Server => reactor::HeartbeatMode::Server,
                layer::HeartbeatFlag::Client => reactor::HeartbeatMode::Client,
                layer::HeartbeatFlag::Both => reactor::HeartbeatMode::Both,
            },
            interval: self.span("heartbeat-interval", layer.heartbeat_interval, MILLIS(100)..=DAY)?,
            timeout: self.span("heartbeat-timeout", layer.heartbeat_timeout, MILLIS(100)..=DAY)?,
            suspect_after: Some(self.span("suspect-after", layer.suspect_after, MILLIS(10)..=DAY)?),
            client_silence: self.span("client-silence", layer.client_silence, MILLIS(100)..=DAY)?,
        })
    }

    fn presence(&self, key_files: &KeyFiles, fetches_keys: bool) -> Result<PresenceSettings, String> {
        let layer = &self.layer;
        let heartbeat = self.heartbeat()?;
        let both = heartbeat.mode == reactor::HeartbeatMode::Both;
        let per_user = self.number("max-connections-per-user", layer.max_connections_per_user, 1..=200)?;
        let per_second =
            self.number("max-commands-per-second", layer.max_commands_per_second, 1..=1_000_000)?;
        Ok(PresenceSettings {
            rules: Rules {
                grace: ticks(self.span("offline-grace", layer.offline_grace, Duration::ZERO..=DAY)?),
                page_silence: both.then(|| ticks(heartbeat.client_silence)),
                connections_per_user: set(per_user),
                big_room: set(self.number("big-room", layer.big_room, 0..=10_000)?),
                commands_per_second: u32::try_from(set(per_second)).unwrap_or(u32::MAX),
                data_bytes: self.data()?,
                history: self.history()?,
                history_bytes: self.history_bytes()?,
                heartbeat_millis: heartbeat_millis(heartbeat.interval, heartbeat.timeout),
                ..Rules::default()
            },
            legacy_heartbeats: LegacyHeartbeats {
                texts: set(layer.heartbeat_text.clone()),
                keys: set(layer.heartbeat_key.clone()),
            },
            drop_oldest: self.rooms("drop-oldest", self.layer.drop_oldest.clone())?,
            authenticator: self.authenticator(key_files, fetches_keys)?,
            secret: secret(),
            poll_gap: Some(ticks(self.span("poll-gap", layer.poll_gap, MILLIS(5_000)..=MILLIS(600_000))?)),
            ..PresenceSettings::default()
        })
    }

    fn endpoints(&self) -> Result<Vec<ListenEndpoint>, String> {
        let written = self.layer.listen.as_deref().unwrap_or_default();
        let mut endpoints: Vec<ListenEndpoint> = Vec::with_capacity(written.len() + 1);
        for address in written {
            let endpoint = address.resolve().map_err(|error| self.at("listen", &error))?;
            let place = endpoint.address();
            let free = place.is_some_and(|place| place.port() == 0);
            let same =
                |other: &ListenEndpoint| *other == endpoint || place.is_some() && other.address() == place;
            if !free && endpoints.iter().any(same) {
                return Err(self.at("listen", &format!("{address} is listed twice")));
            }
            endpoints.push(endpoint);
        }
        if endpoints.is_empty() {
            return Err(self.at("listen", "the list is empty; at least one address"));
        }
        Ok(endpoints)
    }

    fn tls(&self, endpoints: &[ListenEndpoint]) -> Result<Option<TlsFiles>, String> {
        let needed = endpoints.iter().any(|endpoint| matches!(endpoint, ListenEndpoint::Tls(_)));
        TlsFiles::of(&self.layer, needed).map_err(|(key, error)| self.at(key, &error))
    }

    /// Whoever lets strangers in says so.
    fn reach(&self, endpoints: &[ListenEndpoint], has_key: bool) -> Result<(), String> {
        let mut addresses = endpoints.iter().filter_map(ListenEndpoint::address);
        let outside = addresses.find(|address| !address.ip().to_canonical().is_loopback());
        match outside {
            Some(address) if self.layer.auth.is_none() && !has_key => Err(format!(
                "{address} is reachable from other machines, and everybody who reaches it is let in; \
                 give a key, --token-secret-file FILE or --token-jwks URL, or say `--auth none` if that is meant"
            )),
            _ => Ok(()),
        }
    }

    fn origins(&self, key: &str, origins: Option<&Vec<String>>) -> Result<Vec<String>, String> {
        let origins = origins.into_iter().flatten();
        origins.map(|origin| origin::normal(origin).map_err(|error| self.at(key, &error))).collect()
    }

    fn span(
        &self,
        key: &str,
        span: Option<Span>,
        range: RangeInclusive<Duration>,
    ) -> Result<Duration, String> {
        let span = set(span);
        if range.contains(&span.0) {
            return Ok(span.0);
        }
        Err(self
            .at(key, &format!("{span} is not within {} and {}", Span(*range.start()), Span(*range.end()))))
    }

    fn size(&self, key: &str, size: Option<Size>, range: RangeInclusive<usize>) -> Result<usize, String> {
        let size = set(size);
        if range.contains(&size.0) {
            return Ok(size.0);
        }
        Err(self
            .at(key, &format!("{size} is not within {} and {}", Size(*range.start()), Size(*range.end()))))
    }

    fn number(
        &self,
        key: &str,
        number: Option<usize>,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, String> {
        match number {
            Some(number) if !range.contains(&number) => {
                Err(self.at(key, &format!("{number} is not within {} and {}", range.start(), range.end())))
            }
            _ => Ok(number),
        }
    }

    /// The error's line: the setting as the reader wrote it, then what is wrong.
    fn at(&self, key: &str, error: &str) -> String {
        match self.sources.origin(key) {
            Some(SettingSource::File(path)) => format!("{}: {key}: {error}", path.display()),
            Some(SettingSource::Environment(name) | SettingSource::Flag(name)) => format!("{name}: {error}"),
            Some(SettingSource::Default) | None => format!("{key}: {error}"),
        }
    }
}

/// The value of a setting that has a default.
/// A key of the program's own, from two keys of the standard library's.
fn secret() -> u128 {
    let [low, high] = [0_u8; 2].map(|nothing| RandomState::new().hash_one(nothing));
    u128::from(high) << 64 | u128::from(low)
}

fn set<T>(value: Option<T>) -> T {
    value.expect("DEFAULTS names every setting that is read with this")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::layer::LayerParser;
    use crate::service::authenticator::Auth;

    fn resolve(flags: &[&str]) -> Result<Settings, String> {
        let layer = LayerParser::try_parse_from(flags).unwrap().layer;
        Settings::resolve(&Sources::read(&layer, None, std::iter::empty()).unwrap())
    }

    #[test]
    fn the_defaults_are_the_reactors() {
        let settings = resolve(&[]).unwrap();
        let (ours, theirs) = (&settings.reactor, reactor::Config::default());
        let suspect_after = Some(Duration::from_secs(8));
        assert_eq!(ours.heartbeat, reactor::Heartbeat { suspect_after, ..theirs.heartbeat });
        assert_eq!(ours.messages, theirs.messages);
        assert_eq!((ours.addresses, ours.message_timeout), (theirs.addresses, theirs.message_timeout));
        assert_eq!((ours.max_memory_bytes, ours.proxy_protocol), (None, false));
        assert_eq!(
            (ours.handshake_timeout, ours.close_timeout, ours.drain),
            (theirs.handshake_timeout, theirs.close_timeout, theirs.drain)
        );
        assert_eq!(
            (ours.max_head_bytes, ours.max_body_bytes, ours.max_backlog_bytes),
            (theirs.max_head_bytes, theirs.max_body_bytes, theirs.max_backlog_bytes)
        );
        assert_eq!(ours.deflate, theirs.deflate);
        assert_eq!(ours.fd_tables, reactor::FdTables::Auto);
        assert_eq!(settings.endpoints, [ListenEndpoint::Tcp("127.0.0.1:8080".parse().unwrap())]);
        assert_eq!((settings.workers, settings.max_connections), (None, None));
    }

    #[test]
    fn relations_are_checked() {
        for (flags, line) in [
            (
                &["--max-frame=2MiB"][..],
                "--max-frame: 2MiB is more than max-message, 1MiB: a frame is part of a message",
            ),
            (
                &["--max-data=2MiB"],
                "--max-data: 2MiB is more than max-message, 1MiB: data is part of a message",
            ),
            (
                &["--max-data=100KiB", "--max-backlog=64KiB"],
                "--max-data: 100KiB is more than max-backlog, 64KiB: data waits there for who reads slowly",
            ),
            (&["--workers=0"], "--workers: 0 is not within 1 and 1024"),
            (&["--workers=1025"], "--workers: 1025 is not within 1 and 1024"),
            (&["--max-fragments=0"], "--max-fragments: 0 leaves no message; at least 1"),
            (&["--heartbeat-interval=10ms"], "--heartbeat-interval: 10ms is not within 100ms and 24h"),
            (&["--max-header=1MiB"], "--max-header: 1MiB is not within 1KiB and 128KiB"),
            (&["--listen=[::1]:9", "--listen=[::1]:9"], "--listen: [::1]:9 is listed twice"),
            (
                &["--origin=example.org/"],
                "--origin: `example.org/` is not what a browser sends, like https://example.org:8443",
            ),
            (
                &["--cors-origin=https://*.example.org", "--api-key=0123456789abcdef0123456789abcdef"],
                "--cors-origin: `https://*.example.org` is not what a browser sends, and * stands for nothing here: name each \
                 origin",
            ),
            (
                &["--trusted-proxy=10.0.0.1/8"],
                "--trusted-proxy: `10.0.0.1/8` has bits beyond its prefix; write 10.0.0.0/8, or `unix`",
            ),
            (&["--proxy-protocol"], "--proxy-protocol: from whom? --trusted-proxy has to name the proxies"),
            (
                &["--max-handshakes-per-address=5001"],
                "--max-handshakes-per-address: 5001 is not within 0 and 5000",
            ),
            (
                &["--listen=wss://[::1]:9"],
                "--listen: wss:// needs --tls-cert and --tls-key; `rollcall cert` makes a pair for trying",
            ),
            (&["--listen=wss://[::1]:9", "--listen=[::1]:9"], "--listen: [::1]:9 is listed twice"),
            (&["--tls-cert=a"], "--tls-cert: 1 of them and 0 of --tls-key: they go in pairs"),
            (&["--tls-cert=a", "--tls-key=b"], "--tls-cert: no --listen begins with wss://"),
            (
                &["--auth=early"],
                "--auth: tokens need a key: --token-secret-file FILE, --token-public-key FILE.pem, or --token-jwks URL",
            ),
            (
                &["--token-jwks=http://sso.example.org/certs"],
                "--token-jwks: `http://sso.example.org/certs`: whoever is on the way could change the keys; https:// is \
                 needed, except from this machine",
            ),
            (
                &["--token-jwks=https://sso.example.org:99999/certs"],
                "--token-jwks: `https://sso.example.org:99999/certs`: the port is a number from 1 to 65535",
            ),
            (&["--tls-client-user"], "--tls-client-user: by whose word? --tls-client-ca has to say"),
            (&["--subprotocol=a b"], "--subprotocol: `a b` has characters that a subprotocol may not have"),
        ] {
            assert_eq!(resolve(flags).unwrap_err(), line);
        }
    }

    #[test]
    fn what_nobody_bounds_follows_what_it_is_part_of() {
        let data = |flags: &[&str]| resolve(flags).unwrap().site.presence.rules.data_bytes;
        assert_eq!(data(&[]), 64 << 10);
        assert_eq!(data(&["--max-message=1KiB", "--max-frame=1KiB"]), 1 << 10);
        assert_eq!(data(&["--max-message=4MiB", "--max-backlog=4MiB"]), 64 << 10);
        assert_eq!(data(&["--max-data=1MiB"]), 1 << 20);
        let frame = |flags: &[&str]| resolve(flags).unwrap().reactor.messages.max_frame_bytes;
        assert_eq!(
            [frame(&[]), frame(&["--max-message=64KiB"]), frame(&["--max-message=4MiB"])],
            [1 << 20, 64 << 10, 4 << 20]
        );
        assert_eq!(frame(&["--max-message=4MiB", "--max-frame=1MiB"]), 1 << 20);
    }

    #[test]
    fn a_room_is_big_from_where_it_is_said() {
        let big = |flags: &[&str]| resolve(flags).unwrap().site.presence.rules.big_room;
        assert_eq!((big(&[]), big(&["--big-room=7"])), (100, 7));
    }

    #[test]
    fn strangers_are_let_in_only_aloud() {
        for address in ["--listen=0.0.0.0:0", "--listen=[::]:0", "--admin-listen=192.0.2.1:0"] {
            let error = resolve(&[address]).unwrap_err();
            assert!(error.contains("--auth none"), "{error}");
            resolve(&[address, "--auth=none"]).unwrap();
        }
        let keys = "--token-jwks=https://sso.example.org/certs";
        assert_eq!(
            resolve(&["--listen=0.0.0.0:0", keys]).unwrap().site.presence.authenticator.auth,
            Auth::Early
        );
        resolve(&["--listen=127.9.9.9:0", "--listen=[::1]:0", "--listen=[::ffff:127.0.0.1]:0"]).unwrap();
    }

    #[test]
    fn the_admin_address_comes_last() {
        let settings = resolve(&["--admin-listen=127.0.0.1:2", "--listen=127.0.0.1:1"]).unwrap();
        assert_eq!(
            settings.endpoints.iter().map(|e| e.address().unwrap().port()).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!((settings.public, settings.site.public_listeners), (1, Some(1)));
    }
}
