//! HTTP/1.1 as far as the two ends of this test speak it: a head, `Content-Length`, a body.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::helpers::sender::Fields;

/// Longest silence of the other end.
const SILENCE: Duration = Duration::from_secs(15);

/// A request or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The request line or the status line.
    pub(super) start: String,
    /// Fields in order, names in lower case.
    pub(super) fields: Fields,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Message {
    /// The status of an answer.
    pub(super) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// The path of a request.
    pub(super) fn path(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

/// One kept connection.
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Self::of(stream)
    }

    pub(super) fn of(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(super) fn send(&mut self, start: &str, fields: &[(String, String)], body: &[u8]) -> io::Result<()> {
        let mut bytes = format!("{start}\r\nContent-Length: {}\r\n", body.len()).into_bytes();
        for (name, value) in fields {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        self.0.get_mut().write_all(&bytes)
    }

    /// The whole next message, or an error where only a part of it came.
    pub(super) fn receive(&mut self) -> io::Result<Message> {
        let start = self.line()?;
        let mut fields = Fields::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut message = Message { start, fields, body: Vec::new() };
        let length = message.field("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        message.body.resize(length, 0);
        self.0.read_exact(&mut message.body)?;
        Ok(message)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
