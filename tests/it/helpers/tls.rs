//! A TLS proxy before a listener of plain HTTP, with a certificate of the tests' own authority.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Where the tests' certificates are.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/helpers/tls").join(name)
}

/// The authority's certificate, a file.
pub(crate) fn authority() -> String {
    file("ca.pem").display().to_string()
}

/// Listens for TLS and hands every request on, one a connection.
pub(crate) fn proxy_to(listener: SocketAddr) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(file("server.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).expect("they fit"));
    let own = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = own.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in own.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            // A client that trusts nobody hangs up.
            drop(hand_on(StreamOwned::new(connection, stream), listener));
        }
    });
    address
}

fn hand_on(mut client: StreamOwned<ServerConnection, TcpStream>, to: SocketAddr) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(Ok(0), str::parse);
    let mut body = vec![0; length.expect("a number")];
    client.read_exact(&mut body)?;
    let end = head.len() - 2;
    head.splice(end.., *b"connection: close\r\n\r\n");
    let mut server = TcpStream::connect(to)?;
    server.write_all(&head)?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    client.write_all(&answer)?;
    client.conn.send_close_notify();
    client.flush()
}
