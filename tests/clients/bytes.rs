//! `say` and `tell` with bytes: as they are for clients that take them so, as JSON for the others.

use rollcall::internals::limits::DATA_BYTES_MAX;
use serde_json::json;

use super::client::{Client, Times, start, with_workers};

/// A client that takes bytes as they are from the first moment on.
fn taking(server: &rollcall::Server, user: &str) -> Client {
    let mut client = Client::connect(server, &format!("/ws?user={user}&binary=true"), Some("rollcall.v1"));
    client.event_named("welcome");
    client
}

#[test]
fn bytes_reach_each_client_in_the_form_that_it_takes() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let (mut anna, mut ben) = (taking(&server, "anna"), Client::named(&server, "ben"));
        let mut cleo = Client::named(&server, "cleo");
        assert_eq!(cleo.done("status", r#"{"binary":true}"#), json!({ "code": 200 }));
        for client in [&mut anna, &mut ben, &mut cleo] {
            client.done("join", r#"{"room":"r"}"#);
        }
        let said = anna.command_with("say", r#"{"room":"r"}"#, &[0, 255, 0]);
        assert_eq!(said["code"], 200, "{said}");
        let own = anna.event_named("say");
        assert_eq!((&own["bytes"], own.get("data")), (&json!([0, 255, 0]), None));
        assert_eq!((&own["offset"], &own["from"]), (&said["offset"], &json!("anna")));
        assert_eq!(cleo.event_named("say"), own);
        let heard = ben.event_named("say");
        assert_eq!((&heard["data"], heard.get("bytes")), (&json!({ "$binary": "AP8A" }), None));
        assert_eq!((&heard["offset"], &heard["epoch"]), (&own["offset"], &own["epoch"]));
        // JSON stays what it is, for all of them.
        ben.done("say", r#"{"room":"r","data":[1]}"#);
        for client in [&mut anna, &mut ben, &mut cleo] {
            assert_eq!(client.event_named("say")["data"], json!([1]));
        }
        for (user, client, field, value) in
            [("ben", &mut ben, "data", json!({ "$binary": "" })), ("cleo", &mut cleo, "bytes", json!([]))]
        {
            let told = anna.command_with("tell", &format!(r#"{{"user":"{user}"}}"#), &[]);
            assert_eq!(told["delivered"], 1, "{told}");
            assert_eq!(client.event_named("tell")[field], value);
        }
        cleo.done("status", r#"{"binary":false,"state":"busy"}"#);
        anna.command_with("tell", r#"{"user":"cleo"}"#, &[7]);
        assert_eq!(cleo.event_named("tell")["data"], json!({ "$binary": "Bw==" }));
    });
}

#[test]
fn what_is_wrong_with_bytes_is_said_and_closes_nobody() {
    let server = start(1, &Times::default());
    let mut anna = taking(&server, "anna");
    anna.done("join", r#"{"room":"r"}"#);
    for (cmd, params, bytes, code) in [
        ("say", r#"{"room":"r","data":1}"#, 1, 400),
        ("join", r#"{"room":"s"}"#, 1, 400),
        ("fly", "{}", 1, 400),
        ("say", r#"{"room":"elsewhere"}"#, 1, 403),
        ("tell", r#"{"user":"nobody-here"}"#, 1, 404),
        ("say", r#"{"room":"r"}"#, DATA_BYTES_MAX + 1, 413),
        ("say", r#"{"room":"r"}"#, DATA_BYTES_MAX, 200),
    ] {
        let body = anna.command_with(cmd, params, &vec![0; bytes]);
        assert_eq!(body["code"], code, "{cmd} {params}: {body}");
    }
    anna.event_named("say");
    anna.send_binary();
    let refused = anna.event();
    assert_eq!((&refused["seq"], &refused["body"]["code"]), (&json!(0), &json!(400)), "{refused}");
    anna.assert_quiet();
    // A client that does not speak the protocol has nothing to say in bytes.
    let mut other = Client::plain(&server, "/ws?user=ben");
    other.send_binary();
    assert_eq!(other.close_code(), 1003);
    let refused = Client::try_connect(&server, "/ws?user=ben&binary=1", &[]);
    assert_eq!(refused.err().map(|(status, _)| status), Some(400));
}
