//! The other servers: the bare endpoint that only checks the signature, and the handler that gets events. This executable runs
//! itself again to be one of them.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::StreamExt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::deliveries::SECRET;

/// The argument that asks for the bare endpoint; the file to write its address to follows.
pub(crate) const SERVE: &str = "--as-bare-endpoint";
/// The argument that asks for the handler.
pub(crate) const SINK: &str = "--as-handler";

/// Listens with the gateway's own settings of actix: workers, connections, deadlines.
pub(crate) fn serve(ready: &str) {
    let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length is a key");
    let (listener, workers) = (listen(ready), std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new().app_data(web::Data::new(key.clone())).service(web::resource("/hooks/{source}").to(check))
        });
        let server = server
            .workers(workers)
            .max_connections(25_000_usize.div_ceil(workers))
            .client_request_timeout(Duration::from_secs(5))
            .client_disconnect_timeout(Duration::from_secs(1))
            .keep_alive(Duration::from_secs(75))
            .disable_signals();
        server.listen(listener).expect("a listener").run().await.expect("a server");
    });
}

async fn check(request: HttpRequest, mut payload: web::Payload, key: web::Data<Hmac<Sha256>>) -> HttpResponse {
    let mut mac = Hmac::clone(&key);
    while let Some(chunk) = payload.next().await {
        let Ok(chunk) = chunk else { return HttpResponse::BadRequest().finish() };
        mac.update(&chunk);
    }
    let signature = request.headers().get("x-hub-signature-256").and_then(|value| value.to_str().ok()?.strip_prefix("sha256="));
    let mut tag = [0; 32];
    let read = signature.is_some_and(|text| hex::decode_to_slice(text, &mut tag).is_ok());
    if read && mac.verify_slice(&tag).is_ok() { HttpResponse::Ok().finish() } else { HttpResponse::Unauthorized().finish() }
}

/// Answers every event with 200, and says on `/count` how many there were. Other paths fail, hang, or are not counted.
pub(crate) fn sink(ready: &str) {
    let (listener, count) = (listen(ready), Arc::new(AtomicUsize::new(0)));
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::from(Arc::clone(&count)))
                .service(web::resource("/hooks").to(take))
                .service(web::resource("/uncounted").to(take_uncounted))
                .service(web::resource("/fails").to(fail))
                .service(web::resource("/hangs").to(hang))
                .service(web::resource("/count").to(told))
        });
        server.workers(1).disable_signals().listen(listener).expect("a listener").run().await.expect("a server");
    });
}

async fn take(mut payload: web::Payload, count: web::Data<AtomicUsize>) -> HttpResponse {
    while payload.next().await.is_some() {}
    count.fetch_add(1, Ordering::Relaxed);
    HttpResponse::Ok().finish()
}

async fn take_uncounted(mut payload: web::Payload) -> HttpResponse {
    while payload.next().await.is_some() {}
    HttpResponse::Ok().finish()
}

async fn fail(mut payload: web::Payload) -> HttpResponse {
    while payload.next().await.is_some() {}
    HttpResponse::InternalServerError().finish()
}

async fn hang() -> HttpResponse {
    std::future::pending().await
}

async fn told(count: web::Data<AtomicUsize>) -> String {
    count.load(Ordering::Relaxed).to_string()
}

fn listen(ready: &str) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let draft = format!("{ready}.new");
    std::fs::write(&draft, address).and_then(|()| std::fs::rename(&draft, ready)).expect("the ready file");
    listener
}
