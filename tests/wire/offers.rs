//! What is offered and agreed about compression, RFC 7692 §5 and §7.1, both roles.

use rollcall::internals::wire::deflate::offer::{self, Agreement, Direction, MalformedOffer, Mode, Offer};

fn accept(field: &str, mode: Mode) -> Result<Option<(Agreement, String)>, MalformedOffer> {
    offer::accept([field.as_bytes()].into_iter(), mode)
}

/// The answer to an offer; `-` where it is declined.
fn answer(field: &str, mode: Mode) -> String {
    accept(field, mode).unwrap().map_or_else(|| "-".to_owned(), |(_, answer)| answer)
}

fn agreement(field: &str, mode: Mode) -> Agreement {
    accept(field, mode).unwrap().expect("declined").0
}

fn direction(takeover: bool, window_bits: u8) -> Direction {
    Direction::new(takeover, window_bits)
}

const ALONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
fn shared_mode_lets_no_message_refer_to_another() {
    // §7.1.1: both may be in an answer though neither was offered.
    for field in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=10",
        "Permessage-Deflate;Client_Max_Window_Bits",
    ] {
        assert_eq!(answer(field, Mode::Shared), ALONE, "{field}");
        let Agreement { server, client } = agreement(field, Mode::Shared);
        assert_eq!((server, client.takeover()), (direction(false, 15), false));
    }
}

#[test]
fn per_connection_mode_holds_a_client_to_a_window_or_to_none() {
    for (field, named) in [
        // §7.1.2.2: who does not name the parameter can't be held to a window.
        ("permessage-deflate", "; client_no_context_takeover"),
        ("permessage-deflate; client_max_window_bits", "; client_max_window_bits=12"),
        ("permessage-deflate; client_max_window_bits=15", "; client_max_window_bits=12"),
        ("permessage-deflate; client_max_window_bits=10", "; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=8", "; client_max_window_bits=8"),
        (
            "permessage-deflate; client_no_context_takeover; client_max_window_bits",
            "; client_no_context_takeover",
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_max_window_bits",
            "; server_no_context_takeover; client_max_window_bits=12",
        ),
        (
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits",
            "; server_max_window_bits=9; client_max_window_bits=12",
        ),
    ] {
        assert_eq!(answer(field, Mode::PerConnection), format!("permessage-deflate{named}"), "{field}");
    }
    let field = "permessage-deflate; server_max_window_bits=9; client_max_window_bits";
    let agreed = agreement(field, Mode::PerConnection);
    assert_eq!((agreed.server, agreed.client), (direction(true, 9), direction(true, 12)));
}

#[test]
fn every_window_is_kept_but_the_one_that_can_not_be() {
    // §7.1.2.1
    for mode in [Mode::Shared, Mode::PerConnection] {
        for bits in 9..=15 {
            let field = format!("permessage-deflate; server_max_window_bits={bits}");
            assert_eq!(agreement(&field, mode).server.window_bits(), bits);
            assert!(answer(&field, mode).contains(&format!("server_max_window_bits={bits}")));
        }
        assert_eq!(answer("permessage-deflate; server_max_window_bits=8", mode), "-");
    }
}

#[test]
fn the_first_offer_that_can_be_accepted_is() {
    // §5.1
    let field = "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8, permessage-foo; x=1, \
                 permessage-deflate; server_max_window_bits=10, permessage-deflate";
    assert_eq!(answer(field, Mode::Shared), format!("{ALONE}; server_max_window_bits=10"));
    // RFC 6455 §9.1: the field may be split.
    let split = [&b"permessage-deflate; server_max_window_bits=8"[..], b"permessage-deflate"];
    assert_eq!(offer::accept(split.into_iter(), Mode::Shared).unwrap().unwrap().1, ALONE);
}

#[test]
fn what_an_offer_can_not_say_declines_it() {
    // §7: an unknown parameter, a value where none goes or none where one does, one that is no window, one twice.
    for parameters in [
        "unknown",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=+9",
        "server_max_window_bits=1000",
        "client_max_window_bits=7",
        "client_max_window_bits=08",
        "client_max_window_bits=0x9",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits",
    ] {
        let field = format!("permessage-deflate; {parameters}");
        assert_eq!(answer(&field, Mode::Shared), "-", "{field}");
        let next = format!("{field}, permessage-deflate");
        assert_eq!(answer(&next, Mode::Shared), ALONE, "{field}");
    }
}

#[test]
fn quoted_values_are_values() {
    // RFC 6455 §9.1
    for value in ["\"10\"", "\"1\\0\"", " 10 ", " \"10\""] {
        let field = format!("permessage-deflate ;server_max_window_bits={value} ");
        assert_eq!(agreement(&field, Mode::Shared).server.window_bits(), 10, "{field}");
    }
}

#[test]
fn what_is_no_list_of_extensions_is_told_apart_from_an_empty_one() {
    // RFC 6455 §9.1; RFC 9110 §5.6.1
    for field in ["", ",", " , ,", "foo", "foo; bar=\"b\\az\"; qux"] {
        assert_eq!(accept(field, Mode::Shared), Ok(None), "{field:?}");
    }
    for field in [
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate;",
        "permessage-deflate; =10",
        "=1",
        ";",
        "a b",
        "permessage-deflate; server_max_window_bits=\"10",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; server_max_window_bits=\"1 0\"",
        "permessage-deflate; server_max_window_bits=\"10\"x",
        "permessage-deflate(",
        "permessage-deflate; é",
        "\"permessage-deflate\"",
    ] {
        assert_eq!(accept(field, Mode::Shared), Err(MalformedOffer), "{field:?}");
    }
}

fn check(offer: Offer, field: &str) -> Result<Option<Agreement>, MalformedOffer> {
    offer.check([field.as_bytes()].into_iter())
}

#[test]
fn a_clients_offers_are_those_that_our_server_takes() {
    for server_alone in [false, true] {
        for client_alone in [false, true] {
            for server_bits in [None, Some(9), Some(15)] {
                let offer = Offer { server_alone, client_alone, server_bits };
                for mode in [Mode::Shared, Mode::PerConnection] {
                    let (agreed, answer) = accept(&offer.field(), mode).unwrap().unwrap();
                    let checked = check(offer, &answer).unwrap().unwrap();
                    assert_eq!(checked.server, agreed.server, "{answer}");
                    assert_eq!(checked.client.takeover(), agreed.client.takeover(), "{answer}");
                    assert_eq!(checked.client, agreed.client, "{answer}");
                }
            }
        }
    }
}

#[test]
fn a_client_takes_no_answer_that_it_did_not_ask_for() {
    let plain = Offer::default();
    assert_eq!(plain.field(), "permessage-deflate; client_max_window_bits");
    assert_eq!(plain.check(std::iter::empty()), Ok(None));
    let full = Agreement { server: direction(true, 15), client: direction(true, 15) };
    assert_eq!(check(plain, "permessage-deflate"), Ok(Some(full)));
    for field in [
        "permessage-foo",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate; unknown",
        // §7.1.2.2: in an answer it has a value; 8 bits we can't compress for.
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate;",
    ] {
        assert_eq!(check(plain, field), Err(MalformedOffer), "{field}");
    }
    // §7.1.1.1, §7.1.2.1: what was asked for is in the answer.
    let asking = Offer { server_alone: true, server_bits: Some(10), ..plain };
    for field in [
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
    ] {
        assert_eq!(check(asking, field), Err(MalformedOffer), "{field}");
    }
    let agreed = check(asking, "permessage-deflate; server_no_context_takeover; server_max_window_bits=9");
    assert_eq!(agreed.unwrap().unwrap().server, direction(false, 9));
}
