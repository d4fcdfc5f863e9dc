//! Authentication: finds the token of a request, has it verified, and makes of its claims what presence goes by.
//!
//! A token is looked for in this order, and the first that is found counts: `?token=`, `Authorization: Bearer`, the cookie
//! `rollcall_token`, a subprotocol `bearer.TOKEN`. A cookie is sent by the browser whatever page opens the connection, and a
//! client's certificate is shown by it: both count where that is a page of the server's own origin, or of one that `--origin`
//! names, or no page at all.

use std::sync::Arc;

use crate::identity::{Invalid, Keys};
use crate::presence::{Entry, Grants, NAME_RULE, Name, is_name};
use crate::protocol::refusal;
use crate::reactor::tls::Certified;
use crate::time::{Now, Tick};
use crate::wire::http::{Head, Refusal, Response};

/// The clients that have to show a token, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Auth {
    /// Nobody: everybody is taken at their word. A token is verified nevertheless where there is a key, and wins.
    #[default]
    None,
    /// Everybody, with the upgrade.
    Early,
    /// Everybody, with the upgrade or by the command `auth` within the time-out.
    Late,
}

/// The settings and keys by which all workers authenticate.
#[derive(Clone, Debug, Default)]
pub struct Authenticator {
    /// The clients that have to show a token.
    pub auth: Auth,
    /// The keys that tokens are verified with; `None`: tokens are not looked at.
    pub keys: Option<Arc<Keys>>,
    /// Ticks from the upgrade to the command `auth`.
    pub timeout: u32,
    /// Whether a client's certificate says who it is, as a token does.
    pub certificates: bool,
}

/// Why a token lets nobody in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadToken {
    /// 401; or 503, where nothing is known against it and the same token may be good in a moment.
    pub status: u16,
    /// The fault, in a sentence that has no part of the token.
    pub reason: String,
}

/// The cookie that may hold a token.
pub const COOKIE: &str = "rollcall_token";
/// The beginning of a subprotocol that holds a token.
pub const SUBPROTOCOL_PREFIX: &str = "bearer.";

const MISSING: &str = "a token is needed: as ?token=, Authorization: Bearer, the cookie rollcall_token or a \
                       subprotocol bearer.TOKEN";
const FOREIGN_COOKIE: &str =
    "the cookie rollcall_token counts for pages of this server and of origins named by --origin";
const FOREIGN_CERTIFICATE: &str =
    "a client certificate counts for pages of this server and of origins named by --origin";
const NO_TEXT: &str = "the token is not text";
const MISSING_CERTIFICATE: &str = "a client certificate is needed: its common name is the user";
const NAMELESS: &str = "the client certificate's subject has to have one common name, and that has to be a name: 1 to 128 \
                        bytes without control characters and *, and without a space at either end";
const RUN_OUT: &str = "the client certificate has run out";
const ALONE: &str = "a subprotocol bearer.TOKEN comes with another one, like rollcall.v1: the server never answers with \
                     the token, and a browser ends a connection that got none of its subprotocols";

impl Authenticator {
    /// Whether everybody has to show a token.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.auth != Auth::None
    }

    /// Finds out who asks to come in; `None`: it is for the request to say. `is_ours`: no page of strangers asks, so that a
    /// cookie and a certificate count. `certified` tells what certificate the client has shown.
    ///
    /// # Errors
    /// 401 with what is wrong with the token; 403 with what is wrong with the certificate; 400 where a subprotocol with a
    /// token stands alone; 503 where the key of the token may be there in a moment.
    pub fn admit(
        &self,
        now: Now,
        (head, is_ours): (&Head<'_>, bool),
        certified: impl FnOnce() -> Option<Certified>,
    ) -> Result<Option<Entry>, Response> {
        let mut offered = head.elements("Sec-WebSocket-Protocol").peekable();
        if offered.peek().is_some() && offered.all(|name| name.starts_with(SUBPROTOCOL_PREFIX.as_bytes())) {
            return Err(Response::refusal(&Refusal { status: 400, reason: ALONE }));
        }
        let token = if self.keys.is_some() { find(head, is_ours) } else { None };
        match (token, self.auth) {
            (Some(token), _) => {
                let token = std::str::from_utf8(token).map_err(|_| unauthorized("invalid_token", NO_TEXT))?;
                let (user, grants) = self.verify(now, token).map_err(BadToken::response)?;
                Ok(Some(Entry::Token(user, grants)))
            }
            (None, auth) => match (certified().filter(|_| self.certificates), auth) {
                (Some(certified), _) if is_ours => holder(now, certified).map(Some),
                (_, Auth::None) => Ok(None),
                (foreign, Auth::Early) => {
                    Err(self.missing(foreign.is_some(), !is_ours && cookie(head).is_some()))
                }
                (_, Auth::Late) => Ok(Some(Entry::Late(self.until(now)))),
            },
        }
    }

    /// The refusal for a request that shows nothing that counts, also where a page of strangers can't show
    /// it.
    fn missing(&self, foreign_certificate: bool, foreign_cookie: bool) -> Response {
        match (self.keys.is_some(), foreign_certificate) {
            (false, true) => Response::text(403, FOREIGN_CERTIFICATE),
            (false, false) => Response::text(403, MISSING_CERTIFICATE),
            (true, _) if foreign_cookie => unauthorized("", FOREIGN_COOKIE),
            (true, true) => unauthorized("", FOREIGN_CERTIFICATE),
            (true, false) => unauthorized("", MISSING),
        }
    }

    fn until(&self, now: Now) -> Tick {
        now.tick.after(self.timeout)
    }

    /// The holder of a token, and what the holder may do.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn verify(&self, now: Now, token: &str) -> Result<(Name, Arc<Grants>), BadToken> {
        let keys = self.keys.as_ref().ok_or("the server has no key for tokens")?;
        let claims = keys.verify(token, now.unix_millis)?;
        if !is_name(&claims.user) {
            return Err(format!("the token's sub is not a name: {NAME_RULE}").as_str().into());
        }
        let (rooms, info) = (claims.rooms.as_deref(), claims.info.as_deref());
        let grants =
            Grants::new(rooms, &claims.see, info, claims.expires_millis).map_err(refusal::of_claim)?;
        Ok((claims.user.into(), Arc::new(grants)))
    }
}

impl BadToken {
    fn response(self) -> Response {
        match self.status {
            401 => unauthorized("invalid_token", &self.reason),
            status => Response::text(status, &self.reason),
        }
    }
}

impl From<Invalid> for BadToken {
    fn from(error: Invalid) -> BadToken {
        let status = if error.may_pass() { 503 } else { 401 };
        BadToken { status, reason: error.to_string() }
    }
}

impl From<&str> for BadToken {
    fn from(reason: &str) -> BadToken {
        BadToken { status: 401, reason: reason.to_owned() }
    }
}

/// The holder of a certificate. It says nothing of rooms, and the grants end when it does.
fn holder(now: Now, certified: Certified) -> Result<Entry, Response> {
    let Certified { name, until_millis } = certified;
    let Some(name) = name.filter(|name| is_name(name)) else { return Err(Response::text(403, NAMELESS)) };
    // A resumed session is not asked for its certificate again.
    if until_millis <= now.unix_millis {
        return Err(Response::text(403, RUN_OUT));
    }
    let grants = Grants { rooms: None, see: Arc::new([]), info: None, expires_millis: until_millis };
    Ok(Entry::Token(name.as_str().into(), Arc::new(grants)))
}

/// RFC 6750 §3: a 401 says what is asked for, and of a token that was shown, that it is not good.
fn unauthorized(error: &str, reason: &str) -> Response {
    let challenge = if error.is_empty() { "Bearer".to_owned() } else { format!("Bearer error=\"{error}\"") };
    Response::text(401, reason).with("WWW-Authenticate", challenge)
}

fn given(token: &&[u8]) -> bool {
    !token.is_empty()
}

/// The token of a request, in a cookie where `cookies` count: an empty one is none, and what stands beside one hides it nowhere,
/// whatever bytes that is.
fn find<'a>(head: &Head<'a>, cookies: bool) -> Option<&'a [u8]> {
    let query = || {
        let tokens = head.query().split('&').filter_map(|pair| pair.strip_prefix("token="));
        tokens.map(str::as_bytes).find(given)
    };
    let bearer = || {
        // RFC 9110 §11.1: the scheme's name is in any case.
        let value = head.values("Authorization").next()?;
        let (scheme, token) = value.split_at(value.iter().position(|byte| *byte == b' ')?);
        Some(token.trim_ascii()).filter(|_| scheme.eq_ignore_ascii_case(b"bearer")).filter(given)
    };
    let cookie = || if cookies { cookie(head) } else { None };
    let subprotocol = || {
        let names = head.elements("Sec-WebSocket-Protocol");
        names.filter_map(|name| name.strip_prefix(SUBPROTOCOL_PREFIX.as_bytes())).find(given)
    };
    query().or_else(bearer).or_else(cookie).or_else(subprotocol)
}

fn cookie<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    let pairs = head.values("Cookie").flat_map(|cookies| cookies.split(|byte| *byte == b';'));
    let value = |pair: &'a [u8]| pair.trim_ascii().strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"=");
    pairs.filter_map(value).find(given)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::identity::Parties;
    use crate::wire::http::Fields;

    fn with_head<T>(target: &str, fields: &str, look: impl FnOnce(&Head<'_>) -> T) -> T {
        with_bytes(target, fields.as_bytes(), look)
    }

    fn with_bytes<T>(target: &str, fields: &[u8], look: impl FnOnce(&Head<'_>) -> T) -> T {
        let line = format!("GET {target} HTTP/1.1\r\nHost: h\r\n");
        let mut storage = Fields::new();
        look(&Head::parse(&[line.as_bytes(), fields, b"\r\n"].concat(), &mut storage).unwrap())
    }

    fn found(target: &str, fields: &str) -> Option<String> {
        let text = |token: &[u8]| String::from_utf8(token.to_vec()).unwrap();
        with_head(target, fields, |head| find(head, true).map(text))
    }

    #[test]
    fn the_carriers_count_in_their_order() {
        let fields = [
            "Authorization: bearer  b\r\n",
            "Cookie: a=1; rollcall_token=c; z=2\r\n",
            "Sec-WebSocket-Protocol: rollcall.v1, bearer.d\r\n",
        ];
        let all = fields.concat();
        for (target, fields, token) in [
            ("/ws?user=x&token=a", &all[..], Some("a")),
            ("/ws?token=&user=x", &all, Some("b")),
            ("/ws", &fields[1..].concat(), Some("c")),
            ("/ws", fields[2], Some("d")),
            ("/ws", "Authorization: Basic b\r\nCookie: xrollcall_token=c\r\n", None),
            ("/ws?xtoken=a", "Sec-WebSocket-Protocol: bearer., chat\r\n", None),
        ] {
            assert_eq!(found(target, fields).as_deref(), token, "{target} {fields}");
        }
    }

    #[test]
    fn what_is_not_ascii_hides_no_token_beside_it() {
        for bytes in ["Zo\u{eb}".as_bytes(), b"\xff", b"\x80\xfe"] {
            for (before, after) in [
                (&b"Cookie: name="[..], &b"; rollcall_token=t"[..]),
                (b"Cookie: rollcall_token=t; name=", b""),
                (b"Cookie: name=", b"\r\nCookie: rollcall_token=t"),
                (b"Cookie: rollcall_token=; a=", b"; rollcall_token=t"),
                (b"Sec-WebSocket-Protocol: ", b", chat, bearer.t"),
                (b"Authorization: Basic ", b"\r\nCookie: rollcall_token=t"),
            ] {
                let fields = [before, bytes, after, b"\r\n"].concat();
                let token = with_bytes("/ws", &fields, |head| find(head, true).map(<[u8]>::to_vec));
                assert_eq!(token.as_deref(), Some(&b"t"[..]), "{}", fields.escape_ascii());
            }
        }
        assert_eq!(found("/ws?token=&token=t", "").as_deref(), Some("t"));
    }

    #[test]
    fn a_cookie_of_a_page_of_strangers_is_none() {
        let keys = Some(Arc::new(Keys::new(Vec::new())));
        let authenticator =
            |auth| Authenticator { auth, keys: keys.clone(), timeout: 5, certificates: false };
        let admit = |auth, fields, is_ours| {
            with_head("/ws", fields, |head| {
                authenticator(auth).admit(Now::default(), (head, is_ours), || None)
            })
        };
        let cookie = "Cookie: rollcall_token=t\r\n";
        for auth in [Auth::None, Auth::Early, Auth::Late] {
            assert_eq!(admit(auth, cookie, true).unwrap_err().status, 401, "it is looked at, and bad");
        }
        assert!(admit(Auth::None, cookie, false).unwrap().is_none());
        assert!(matches!(admit(Auth::Late, cookie, false), Ok(Some(Entry::Late(_)))));
        let words = |fields| {
            let refused = admit(Auth::Early, fields, false).unwrap_err();
            assert_eq!((refused.status, refused.fields[0].1.as_str()), (401, "Bearer"));
            String::from_utf8_lossy(&refused.body).into_owned()
        };
        assert!(
            words(cookie).contains("--origin") && words("Cookie: rollcall_token=\r\n").contains("?token=")
        );
        // The header behind it counts.
        let fields = format!("{cookie}Sec-WebSocket-Protocol: chat, bearer.x\r\n");
        assert_eq!(admit(Auth::None, &fields, false).unwrap_err().status, 401);
    }

    #[test]
    fn a_token_that_is_no_text_is_refused_and_not_overlooked() {
        let authenticator =
            Authenticator { keys: Some(Arc::new(Keys::new(Vec::new()))), ..Authenticator::default() };
        for fields in [&b"Authorization: Bearer \xff\r\n"[..], b"Cookie: rollcall_token=\xff\r\n"] {
            let admitted =
                with_bytes("/ws", fields, |head| authenticator.admit(Now::default(), (head, true), || None));
            assert_eq!(admitted.unwrap_err().status, 401, "{}", fields.escape_ascii());
        }
    }

    #[test]
    fn a_token_among_the_subprotocols_needs_company() {
        let admit = |authenticator: &Authenticator, fields| {
            with_head("/ws", fields, |head| authenticator.admit(Now::default(), (head, true), || None))
        };
        let open = Authenticator::default();
        assert_eq!(admit(&open, "Sec-WebSocket-Protocol: bearer.x\r\n").unwrap_err().status, 400);
        assert!(admit(&open, "Sec-WebSocket-Protocol: chat, bearer.x\r\n").unwrap().is_none());
        assert!(admit(&open, "").unwrap().is_none());
        let early = Authenticator {
            auth: Auth::Early,
            keys: Some(Arc::new(Keys::new(Vec::new()))),
            timeout: 5,
            certificates: false,
        };
        let refused = admit(&early, "").unwrap_err();
        assert_eq!((refused.status, refused.fields[0].1.as_str()), (401, "Bearer"));
        assert!(admit(&early, "Authorization: Bearer hunter2-hunter2\r\n").is_err_and(|refused| {
            let body = String::from_utf8_lossy(&refused.body).into_owned();
            refused.status == 401 && !body.contains("hunter2") && !format!("{refused:?}").contains("hunter2")
        }));
        let late = Authenticator { auth: Auth::Late, ..early };
        assert!(matches!(admit(&late, "").unwrap(), Some(Entry::Late(Tick(5)))));
    }

    #[test]
    fn a_token_whose_key_may_be_there_in_a_moment_is_none_that_is_bad() {
        let keys = Some(Arc::new(Keys::fetching(Vec::new(), Parties::default())));
        let authenticator = Authenticator { auth: Auth::Early, keys, ..Authenticator::default() };
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let claims = part(r#"{"sub":"anna","exp":2}"#);
        for (alg, status) in [("RS256", 503), ("HS256", 401), ("none", 401)] {
            let token = format!("{}.{claims}.AAAA", part(&format!(r#"{{"alg":"{alg}","kid":"a"}}"#)));
            let admit = |head: &Head<'_>| authenticator.admit(Now::default(), (head, true), || None);
            let refused = with_head(&format!("/ws?token={token}"), "", admit).unwrap_err();
            assert_eq!(refused.status, status, "{alg}");
            assert_eq!(refused.fields.iter().any(|(name, _)| *name == "WWW-Authenticate"), status == 401);
        }
    }

    #[test]
    fn a_certificate_is_as_good_as_a_token() {
        let now = Now { unix_millis: 1_000, ..Now::default() };
        let shown =
            |name: Option<&str>| Some(Certified { name: name.map(str::to_owned), until_millis: 5_000 });
        let admit = |authenticator: &Authenticator, target, certified: Option<Certified>| {
            with_head(target, "", |head| authenticator.admit(now, (head, true), || certified))
        };
        let authenticator =
            Authenticator { auth: Auth::Early, certificates: true, ..Authenticator::default() };
        let Ok(Some(Entry::Token(name, grants))) = admit(&authenticator, "/ws?user=ben", shown(Some("anna")))
        else {
            panic!("anna stays out")
        };
        assert_eq!((&*name, grants.expires_millis, &grants.rooms), ("anna", 5_000, &None));
        for bad in [shown(None), shown(Some("Anna*")), shown(Some("")), None] {
            assert_eq!(admit(&authenticator, "/ws?user=ben", bad).unwrap_err().status, 403);
        }
        let run_out = Certified { name: Some("anna".to_owned()), until_millis: 1_000 };
        assert_eq!(admit(&authenticator, "/ws", Some(run_out)).unwrap_err().status, 403);
        // A token counts before it; where certificates don't count, none is looked at.
        let keyed = Authenticator { keys: Some(Arc::new(Keys::new(Vec::new()))), ..authenticator.clone() };
        assert_eq!(admit(&keyed, "/ws?token=bad", shown(Some("anna"))).unwrap_err().status, 401);
        assert!(admit(&keyed, "/ws", shown(Some("anna"))).is_ok());
        assert_eq!(admit(&keyed, "/ws", None).unwrap_err().status, 401);
        let open = Authenticator { auth: Auth::None, certificates: true, ..Authenticator::default() };
        assert!(admit(&open, "/ws", None).unwrap().is_none());
        assert!(admit(&open, "/ws", shown(Some("anna"))).unwrap().is_some());
        assert!(admit(&Authenticator::default(), "/ws", shown(Some("anna"))).unwrap().is_none());
    }

    #[test]
    fn a_certificate_that_a_page_of_strangers_has_the_browser_show_is_none() {
        let keys = Some(Arc::new(Keys::new(Vec::new())));
        let authenticator = |auth, keys| Authenticator { auth, keys, timeout: 5, certificates: true };
        let shown = || Some(Certified { name: Some("anna".to_owned()), until_millis: 5_000 });
        let admit = |authenticator: Authenticator, fields, is_ours| {
            with_head("/ws", fields, |head| authenticator.admit(Now::default(), (head, is_ours), shown))
        };
        for auth in [Auth::None, Auth::Early, Auth::Late] {
            let admitted = admit(authenticator(auth, None), "", true);
            assert!(matches!(admitted, Ok(Some(Entry::Token(..)))), "{admitted:?}");
        }
        assert!(admit(authenticator(Auth::None, None), "", false).unwrap().is_none());
        assert!(matches!(
            admit(authenticator(Auth::Late, keys.clone()), "", false),
            Ok(Some(Entry::Late(_)))
        ));
        let cookie = "Cookie: rollcall_token=t\r\n";
        for (keys, fields, status, words) in [
            (None, "", 403, "a client certificate counts"),
            (None, cookie, 403, "a client certificate counts"),
            (keys.clone(), "", 401, "a client certificate counts"),
            (keys, cookie, 401, "the cookie rollcall_token counts"),
        ] {
            let refused = admit(authenticator(Auth::Early, keys), fields, false).unwrap_err();
            let body = String::from_utf8_lossy(&refused.body).into_owned();
            assert_eq!(refused.status, status, "{body}");
            assert!(body.contains(words) && body.contains("--origin"), "{body}");
        }
    }
}
