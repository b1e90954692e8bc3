//! Handlers on a machine that has certificates to trust, and on one that has none.

use crate::helpers::cli::{Cli, Serving};
use crate::helpers::gateway::{GITHUB, SOURCES, handler};
use crate::helpers::sender;
use crate::helpers::target::Target;
use crate::helpers::{http, tls};

/// A directory with one handler, on a machine that trusts the certificates of this file alone.
fn trusting(authority: &str, url: &str) -> Cli {
    let cli = Cli::with_config(&config(url));
    cli.write("nobody.pem", "");
    cli.env("SSL_CERT_FILE", authority).env("SSL_CERT_DIR", "/nonexistent")
}

fn config(url: &str) -> String {
    format!("{SOURCES}{}", handler("billing", url, ""))
}

/// An event comes, and the service gets it.
async fn assert_called(serving: &Serving, target: &Target, id: &str) {
    let request = http::request("POST", "/hooks/github", &sender::github(GITHUB, id, "push", b"{}"), b"{}");
    assert_eq!(http::exchange(serving.listen, &request).await.status, 200);
    assert_eq!(target.call().await.get("hookgate-event-id"), format!("github/{id}"));
}

#[tokio::test]
async fn a_plain_service_and_gateway_are_called_where_there_are_no_certificates_and_no_encrypted_one_is_taken() {
    let target = Target::start([]).await;
    let cli = trusting("nobody.pem", &target.url());
    let serving = cli.serve(&[]);
    assert_called(&serving, &target, "one").await;
    cli.run(&["replay", "github/ping", "--to", &serving.url(), "--yes"]).expect(0);
    target.call().await;
    cli.write("hookgate.toml", &config("https://localhost:9/hook"));
    cli.run(&["reload"]).fails(2, &["handler `billing`", "certificates", "SSL_CERT_FILE"]);
    assert_called(&serving, &target, "two").await;
    serving.stop().expect(0);
    cli.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .fails(3, &["handler `billing`", "certificates", "SSL_CERT_FILE"]);
}

#[tokio::test]
async fn an_encrypted_service_is_called_where_its_certificate_is_trusted() {
    let target = Target::start([]).await;
    let url = format!("https://localhost:{}/hook", tls::proxy_to(target.address).port());
    let cli = trusting(&tls::authority(), &target.url());
    let serving = cli.serve(&[]);
    assert_called(&serving, &target, "one").await;
    cli.write("hookgate.toml", &config(&url));
    cli.run(&["reload"]).expect(0);
    assert_called(&serving, &target, "two").await;
    assert_eq!(target.count(), 2);
    serving.stop().expect(0);
}
