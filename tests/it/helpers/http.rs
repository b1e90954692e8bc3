//! HTTP/1.1 by hand: what no client library would send can be sent, and what was answered is seen as it was.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::sender::Fields;
use super::soon;

/// A request's exact bytes, with `Host` and `Content-Length`.
pub(crate) fn request(method: &str, path: &str, fields: &Fields, body: &[u8]) -> Vec<u8> {
    let mut bytes = head(method, path, fields);
    bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
    bytes.extend(body);
    bytes
}

/// The same in chunks of this size.
pub(crate) fn chunked(method: &str, path: &str, fields: &Fields, body: &[u8], chunk: usize) -> Vec<u8> {
    let mut bytes = head(method, path, fields);
    bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for part in body.chunks(chunk) {
        bytes.extend(format!("{:x}\r\n", part.len()).bytes());
        bytes.extend(part);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// A request's head, open at its end.
pub(crate) fn head(method: &str, path: &str, fields: &Fields) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("Host: localhost\r\n");
    }
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

/// Sends one request and takes its answer.
pub(crate) async fn exchange(to: SocketAddr, request: &[u8]) -> Answer {
    let mut connection = Connection::to(to).await;
    connection.send(request).await;
    connection.answer().await
}

/// A connection that is kept.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// A new one.
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the listener is open");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// Writes bytes. A peer that has hung up already is no failure: its answer tells.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        drop(self.0.get_mut().write_all(bytes).await);
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn no_more(&mut self) {
        drop(self.0.get_mut().shutdown().await);
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        soon("an answer", self.try_answer()).await.expect("an answer")
    }

    /// The next answer, unless the connection ends without one.
    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        let status = self.line().await?;
        let status =
            status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("status line: {status}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if answer.header("transfer-encoding").is_some() {
            answer.body = self.chunks().await?;
        } else if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().expect("a length")];
            self.0.read_exact(&mut answer.body).await.ok()?;
        }
        Some(answer)
    }

    /// Whether the peer hangs up without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        // A reset is an end as well: the peer did not read all that was sent.
        matches!(soon("the end of a connection", self.0.read(&mut [0])).await, Ok(0) | Err(_))
    }

    /// Sends this piece over and over, one every `every`, until the peer hangs up. Whether it did so without another byte.
    pub(crate) async fn drips_until_closed(&mut self, piece: &[u8], every: Duration) -> bool {
        let mut due = tokio::time::interval(every);
        let mut more = [0];
        let dripping = async {
            loop {
                tokio::select! {
                    read = self.0.read(&mut more) => return matches!(read, Ok(0) | Err(_)),
                    _ = due.tick() => self.send(piece).await,
                }
            }
        };
        soon("the end of a connection that drips", dripping).await
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.0.read_until(b'\n', &mut line).await {
            Ok(1..) => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
            _ => None,
        }
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).expect("a chunk's size");
            let mut chunk = vec![0; size + 2];
            self.0.read_exact(&mut chunk).await.ok()?;
            if size == 0 {
                return Some(body);
            }
            body.extend(&chunk[..size]);
        }
    }
}

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first field of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Everything but what may differ from one answer to the next by its nature.
    pub(crate) fn without_date(&self) -> Self {
        let mut headers: Vec<_> = self.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
        headers.sort();
        Self { headers, ..self.clone() }
    }
}
