//! A program of your own with the gateway inside: `STRIPE_WEBHOOK_SECRET=whsec_... cargo run --example embed`, then
//! `cargo run -- replay fixtures/stripe --secret-env STRIPE_WEBHOOK_SECRET` in another terminal. Ctrl-C and SIGTERM end it in order.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program of its own")]

use actix_web::{App, HttpServer, web};
use hookgate::{Event, Gateway, HandlerError, Source};

/// Called again until it is `Ok`, so it makes its effect happen once by the key.
async fn bill(event: Event) -> Result<(), HandlerError> {
    let body: serde_json::Value = event.json()?;
    println!("{} for {}, key {}", event.event_type(), body["data"]["object"]["customer"], event.idempotency_key());
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let gateway = Gateway::builder()
        .source(Source::provider("stripe").secret_env("STRIPE_WEBHOOK_SECRET"))
        .handler("billing", ["invoice.*"], |event: Event| async move { bill(event).await })
        .open("hookgate.db")
        .await?;
    let routes = gateway.routes();
    let app = move || App::new().configure(routes.clone()).route("/", web::get().to(|| async { "a page of my own" }));
    let listen = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let server = HttpServer::new(app).max_connections(10_000).bind(listen)?;
    println!("deliveries go to http://{}/hooks/stripe", server.addrs()[0]);
    server.run().await?; // until a signal: no new connection, requests in hand are answered
    gateway.shutdown().await; // calls in hand end, the database is closed
    Ok(())
}
