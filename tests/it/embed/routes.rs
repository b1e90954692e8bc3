//! The program around the gateway: its own routes, data and default service stay its own.

use std::sync::Arc;

use actix_web::web;
use hookgate::Secret;
use hookgate::gateway::Receiver;

use super::{Program, deliver, listen, next, scripted};
use crate::helpers::gateway::{NEW_YEAR, problem};
use crate::helpers::http::{self, Answer};
use crate::helpers::sender::{Fields, fields};

async fn get(to: std::net::SocketAddr, path: &str, with: &Fields) -> Answer {
    http::exchange(to, &http::request("GET", path, with, b"")).await
}

/// What the program has put into its data: of a type that the gateway uses inside as well.
type Mine = Arc<Receiver>;

/// A route of the program: whether its data is still what it was.
async fn own(data: web::Data<Receiver>, mine: web::Data<Mine>) -> &'static str {
    if Arc::ptr_eq(&data.into_inner(), &mine) { "mine" } else { "another's" }
}

#[tokio::test]
async fn two_gateways_share_a_program_that_keeps_its_own_routes_data_and_default() {
    let [first, second] = [(); 2].map(|()| scripted([]));
    let (mut of_first, mut of_second) = (first.0, second.0);
    let one = Program::start(|builder| builder.handler("billing", ["*"], first.1)).await;
    let two = Program::start(|builder| builder.handler("billing", ["*"], second.1)).await;
    let other = crate::helpers::gateway::Gateway::start(crate::helpers::gateway::SOURCES).await;
    let (at_root, in_scope, mine) = (one.gateway.routes(), two.gateway.routes(), Arc::clone(other.running.receiver()));
    let app = move |config: &mut web::ServiceConfig| {
        config.app_data(web::Data::from(Arc::clone(&mine))).app_data(web::Data::new(Arc::clone(&mine)));
        config.configure(at_root.clone()).service(web::scope("/x").configure(in_scope.clone()).route("/own", web::get().to(own)));
        config.route("/healthz", web::get().to(own));
    };
    let (address, handle) = listen(app).await;
    let now_s = NEW_YEAR.unix_s();
    assert_eq!(deliver(address, "/hooks/stripe", now_s, "evt_1", "a").await.status, 200);
    assert_eq!(deliver(address, "/x/hooks/stripe", now_s, "evt_1", "b").await.status, 200);
    assert_eq!(next(&mut of_first).await.event_type(), "a");
    assert_eq!(next(&mut of_second).await.event_type(), "b");
    for path in ["/healthz", "/x/own"] {
        assert_eq!(get(address, path, &Fields::new()).await.text(), "mine", "{path}");
    }
    for path in ["/", "/hooks", "/anything", "/x/anything"] {
        assert_eq!(get(address, path, &Fields::new()).await.text(), "a page of my own", "{path}");
    }
    assert_eq!(problem(&get(address, "/x/hooks/none", &Fields::new()).await), "unknown-source");
    handle.stop(true).await;
    drop((one.end().await, two.end().await, other.stop().await));
}

#[tokio::test]
async fn of_one_delivery_that_comes_to_all_workers_at_once_one_is_first() {
    let (mut calls, work) = scripted([]);
    let program = Program::start(|builder| builder.handler("billing", ["*"], work)).await;
    let sent = (0..16).map(|_| program.accept("evt_1", "invoice.paid"));
    let answers = futures_util::future::join_all(sent).await;
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotent-replayed").is_none()).count(), 1);
    next(&mut calls).await;
    drop(program.end().await);
    assert!(calls.recv().await.is_none(), "one call");
}

#[tokio::test]
async fn the_admin_api_in_a_scope_wants_its_token_and_shows_health_to_all() {
    let program = Program::start(|builder| builder).await;
    let token = Secret::new(b"s3cret-of-ops".to_vec()).expect("not empty");
    let operators = program.gateway.admin_routes(Some(token));
    let app = move |config: &mut web::ServiceConfig| {
        config.service(web::scope("/a").service(web::scope("/ops").configure(operators.clone())));
    };
    let (address, handle) = listen(app).await;
    let presented = fields(&[("Authorization", "Bearer s3cret-of-ops")]);
    assert_eq!(get(address, "/a/ops/readyz", &Fields::new()).await.status, 200);
    assert_eq!(problem(&get(address, "/a/ops/api/v1/deliveries", &Fields::new()).await), "token-needed");
    assert_eq!(problem(&get(address, "/a/ops/none", &Fields::new()).await), "token-needed");
    assert_eq!(get(address, "/a/ops/api/v1/deliveries", &presented).await.status, 200);
    assert_eq!(problem(&get(address, "/a/ops/none", &presented).await), "not-found");
    assert_eq!(get(address, "/a/readyz", &Fields::new()).await.text(), "a page of my own");
    // Without a token: only from this machine, by one of its names.
    let foreign = fields(&[("Host", "hooks.example.com")]);
    assert_eq!(problem(&get(program.listen, "/ops/api/v1/deliveries", &foreign).await), "unknown-host");
    assert_eq!(program.ask("GET", "/api/v1/deliveries").await.status, 200);
    handle.stop(true).await;
    drop(program.end().await);
}

#[tokio::test]
async fn commands_find_a_gateway_that_was_announced() {
    let program = Program::start(|builder| builder).await;
    program.accept("evt_1", "invoice.paid").await;
    let operators = program.gateway.admin_routes(None);
    let (address, handle) = listen(move |config| operators.clone()(config)).await;
    let cli = crate::helpers::cli::Cli::new();
    let database = program.directory.path().join("hookgate.db").display().to_string();
    let cli = Arc::new(cli);
    let show = |cli: Arc<crate::helpers::cli::Cli>, database: String| {
        tokio::task::spawn_blocking(move || cli.run(&["log", "show", "evt_1", "--json", "--database", &database]))
    };
    show(Arc::clone(&cli), database.clone()).await.expect("no panic").fails(3, &["has the database open"]);
    program.gateway.announce_admin(address).expect("the lock file is there");
    let told = show(cli, database).await.expect("no panic").expect(0).json();
    assert_eq!(told[0]["event_id"], serde_json::json!("evt_1"));
    handle.stop(true).await;
    drop(program.end().await);
}
