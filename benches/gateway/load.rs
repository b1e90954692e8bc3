//! The client: one thread, keep-alive connections in a closed loop, nothing made while it measures.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::CONNECTIONS;

/// Longest head and body of an answer.
const ANSWER_BYTES_MAX: usize = 4096;

/// What came of a series of requests.
pub(crate) struct Measured {
    /// From the first byte sent to the last byte received.
    pub(crate) took: Duration,
    /// Of each request, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// Answers other than 2xx.
    pub(crate) refused: usize,
}

struct Series<'a> {
    requests: &'a [Vec<u8>],
    next: Cell<usize>,
    latencies: RefCell<Vec<Duration>>,
    refused: Cell<usize>,
}

/// Sends each request once.
pub(crate) fn run(address: SocketAddr, requests: &[Vec<u8>]) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let latencies = RefCell::new(Vec::with_capacity(requests.len()));
    let series = Rc::new(Series { requests, next: Cell::new(0), latencies, refused: Cell::new(0) });
    let began = Instant::now();
    runtime.block_on(async {
        let connections = (0..CONNECTIONS).map(|_| connection(address, Rc::clone(&series)));
        for ended in futures_util::future::join_all(connections).await {
            ended.expect("the server keeps its connections");
        }
    });
    let took = began.elapsed();
    let mut latencies = series.latencies.take();
    latencies.sort_unstable();
    Measured { took, latencies, refused: series.refused.get() }
}

async fn connection(address: SocketAddr, series: Rc<Series<'_>>) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = [0; ANSWER_BYTES_MAX];
    loop {
        let index = series.next.replace(series.next.get() + 1);
        let Some(request) = series.requests.get(index) else { return Ok(()) };
        let began = Instant::now();
        send(&stream, request).await?;
        if !receive(&stream, &mut buffer).await?.starts_with(b"HTTP/1.1 2") {
            series.refused.set(series.refused.get() + 1);
        }
        series.latencies.borrow_mut().push(began.elapsed());
    }
}

async fn send(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The whole answer.
async fn receive<'a>(stream: &TcpStream, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut length = 0;
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer[length..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        if is_whole(&buffer[..length]) {
            return Ok(&buffer[..length]);
        }
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let name = b"content-length: ";
    let value = bytes[..head].windows(name.len()).position(|window| window.eq_ignore_ascii_case(name)).map(|at| at + name.len());
    let digits = value.map_or(&[][..], |at| &bytes[at..head]).iter().take_while(|byte| byte.is_ascii_digit());
    bytes.len() >= head + 4 + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}
