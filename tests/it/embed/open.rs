//! What is opened, and what is refused: by the same rules as a config file, in words for who wrote the program.

use hookgate::config::Environment;
use hookgate::{Builder, Event, Gateway, Handler, OpenError, Source};

use super::{Program, deliver, next, s, scripted};
use crate::helpers::gateway::problem;
use crate::helpers::http;
use crate::helpers::sender::{fields, hex_text, tag};
use crate::helpers::target::Target;

async fn nothing(_: Event) -> super::Said {
    Ok(())
}

/// With a good source.
fn good() -> Builder {
    Gateway::builder().environment(Environment::default()).source(Source::provider("stripe").secret("whsec_0123456789abcdef"))
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name_and_nothing_is_made() {
    let env = Environment::of([("EMPTY", " ")]);
    let none = || Gateway::builder().environment(env.clone());
    let billing = || Handler::new("billing", nothing);
    let cases: Vec<(Builder, &[&str])> = vec![
        (none(), &["no source", "Builder::source"]),
        (none().source(Source::provider("strpe")), &["source `strpe`", "unknown provider", "did you mean `stripe`?"]),
        (none().source(Source::provider("stripe").named("Stripe EU")), &["source `Stripe EU`"]),
        (none().source(Source::provider("stripe").secret("")), &["source `stripe`", "the program", "empty"]),
        (none().source(Source::provider("stripe").secret_env("EMPTY")), &["source `stripe`", "env EMPTY", "empty"]),
        (none().source(Source::provider("stripe").slot("publc").secret("x")), &["source `stripe`", "slot `publc`"]),
        (good().source(Source::provider("stripe")), &["two sources are named `stripe`", "Source::named"]),
        (good().handler("a", ["*"], nothing).handler("a", ["*"], nothing), &["two handlers are named `a`"]),
        (good().handler("a", ["*"], nothing).http_handler("a", ["*"], "http://127.0.0.1:1/"), &["two handlers are named `a`"]),
        (good().handler("Bill!", ["*"], nothing), &["handler `Bill!`"]),
        (good().handler("billing", [""], nothing), &["handler `billing`", "pattern"]),
        (good().handler_with(billing().sources(["strpe"])), &["handler `billing`", "`strpe`", "did you mean `stripe`?"]),
        (good().handler_with(billing().timeout(s(0))), &["handler `billing`", "`timeout`"]),
        (good().handler_with(billing().concurrency(0)), &["handler `billing`", "`concurrency`"]),
        (good().handler("Bill!", ["*"], nothing).handler_with(billing().concurrency(0)), &["handler `Bill!`", "`concurrency`"]),
        (good().handler_with(billing().retry([s(u64::MAX / 2)])), &["handler `billing`", "`retry`"]),
        (good().http_handler("crm", ["*"], "ftp://127.0.0.1/"), &["handler `crm`", "http"]),
        (good().config_toml("[limits]\nin_fligt = 1\n"), &["line 2 of the config", "in_fligt", "did you mean `in_flight`?"]),
        (good().config_toml("\n\n[limits]\nin_flight = 0\n"), &["line 4 of the config", "`in_flight`"]),
        (
            good().config_toml("[sources.github]\nprovider = \"github\"\nsecrets = [{ literal = \"canary\" }]\n"),
            &["line 3 of the config", "literal"],
        ),
    ];
    for (builder, words) in cases {
        let directory = tempfile::tempdir().expect("a directory");
        let error = builder.open(directory.path().join("hookgate.db")).await.expect_err("it is refused");
        let said = error.to_string();
        assert!(matches!(error, OpenError::Config { .. }) && error.code() == "config", "{error:?}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
        assert!(!said.contains("canary"), "{said}");
        assert_eq!(directory.path().read_dir().expect("a directory").count(), 0, "{said}");
    }
}

#[tokio::test]
async fn a_database_that_is_lost_is_made_anew_only_where_the_program_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("hookgate.db");
    good().open(&database).await.expect("a first start").shutdown().await;
    std::fs::remove_file(&database).expect("it is there");
    let error = good().open(&database).await.expect_err("it is lost");
    assert_eq!(error.code(), "database-lost");
    assert!(error.to_string().contains("Builder::new_database"), "{error}");
    good().new_database().open(&database).await.expect("it is said").shutdown().await;
    let missing = good().open(directory.path().join("none/hookgate.db")).await.expect_err("no such directory");
    assert_eq!(missing.code(), "directory-missing");
}

#[tokio::test]
async fn a_text_has_everything_that_has_no_method_and_the_program_adds_to_it() {
    const ACME: &str = "canaryAcme0123456789abcdef";
    let config = r#"
        listen = "0.0.0.0:1"

        [admin]
        listen = "0.0.0.0:2"

        [sources.acme]
        provider = "acme"
        secrets = [{ env = "ACME" }]
        ack = { status = 202, body = "taken", type = "text/plain" }

        [[providers.acme.check]]
        kind = "hmac"
        algorithm = "sha256"
        signature = { from = "header:X-Acme-Signature", encoding = "hex" }

        [providers.acme.event]
        id = ["{header:X-Acme-Id}"]
        type = ["{body:/type}"]
    "#;
    let (mut calls, work) = scripted([]);
    let orders = Handler::new("orders", work).sources(["acme"]).events(["order.*"]);
    let env = Environment::of([("ACME", ACME)]);
    let program = Program::start(|builder| builder.environment(env).config_toml(config).handler_with(orders)).await;
    let body = br#"{"type":"order.made"}"#;
    let signature = hex_text(&tag(ring::hmac::HMAC_SHA256, ACME.as_bytes(), &[body]));
    let signed = fields(&[("X-Acme-Id", "o-1"), ("X-Acme-Signature", &signature)]);
    let answer = http::exchange(program.listen, &http::request("POST", "/hooks/acme", &signed, body)).await;
    assert_eq!((answer.status, answer.text().as_str()), (202, "taken"));
    program.accept("evt_1", "order.made").await;
    let event = next(&mut calls).await;
    assert_eq!((event.source(), event.id()), ("acme", "o-1"));
    drop(program.end().await);
    assert!(calls.recv().await.is_none(), "the other source's event is not its");
}

#[tokio::test]
async fn a_source_is_as_its_methods_say() {
    let eu = Source::provider("stripe").named("eu").secret("whsec_old0123456789").secret_env("EU").body_limit(200).ack(204, "");
    let gone = Source::provider("stripe").named("gone").retired();
    let pending = Source::provider("stripe").named("pending").secret_env("NOT_SET");
    let far = Source::provider("stripe").named("far").secret("whsec_0123456789abcdef").allow_from(["192.0.2.0/24"]);
    let env = Environment::of([("EU", crate::helpers::gateway::STRIPE)]);
    let program =
        Program::start(|builder| builder.environment(env).source(eu.ignore(["ping"])).source(gone).source(pending).source(far))
            .await;
    let send =
        async |name: &str, id: &str| deliver(program.listen, &format!("/hooks/{name}"), program.clock.now_s(), id, "ping").await;
    assert_eq!(send("eu", "evt_1").await.status, 204, "the second secret signed it");
    assert_eq!(problem(&send("eu", &"x".repeat(150)).await), "body-too-large");
    assert_eq!(problem(&send("gone", "evt_1").await), "retired");
    assert_eq!(problem(&send("pending", "evt_1").await), "source-not-ready");
    assert_eq!(send("far", "evt_1").await.status, 403);
    let found = program.ask("GET", "/api/v1/events?source=eu&event_id=evt_1").await.json();
    assert_eq!(found["events"][0]["reason"], serde_json::json!("ignored"));
    drop(program.end().await);
}

#[tokio::test]
async fn a_service_gets_events_beside_closures() {
    let target = Target::start([]).await;
    let (mut calls, work) = scripted([]);
    let program = Program::start(|builder| {
        builder.handler("billing", ["invoice.*"], work).http_handler("crm", ["invoice.paid"], target.url())
    })
    .await;
    program.accept("evt_1", "invoice.paid").await;
    assert_eq!(next(&mut calls).await.idempotency_key(), "stripe/evt_1/billing");
    let call = target.call().await;
    assert_eq!(call.get("idempotency-key"), r#""stripe/evt_1/crm""#);
    assert!(call.header("webhook-signature").is_some());
    drop(program.end().await);
}
