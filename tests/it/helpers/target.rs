//! A handler that answers by script and records what it was told. It never sleeps: what is slow waits for a signal.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use super::gateway::runtime;
use super::soon;

/// One call, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    /// The one field of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(have, _)| have == name).map(|(_, value)| value.as_str());
        let first = all.next();
        assert_eq!(all.next(), None, "{name} came twice");
        first
    }

    /// The field that must be there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }
}

/// What the target does with a call.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// A chunked answer that goes on until the caller hangs up.
    Endless,
    /// Nothing until the gate lets it through.
    After(Gate, Box<Self>),
}

impl Reply {
    /// An answer with an empty body.
    pub(crate) fn status(status: u16) -> Self {
        Self::with(status, &[])
    }

    /// The same with header fields.
    pub(crate) fn with(status: u16, fields: &[(&str, &str)]) -> Self {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Self::bytes(&format!("HTTP/1.1 {status} Scripted\r\nContent-Length: 0\r\nConnection: close\r\n{fields}\r\n"))
    }

    /// Any text.
    pub(crate) fn bytes(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// Holds replies back.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    /// Closed.
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets so many through.
    pub(crate) fn let_through(&self, count: usize) {
        self.0.add_permits(count);
    }

    /// Waits until it is let through.
    pub(crate) async fn pass(&self) {
        self.0.acquire().await.expect("a gate is never torn down").forget();
    }
}

/// See the module.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    calls: tokio::sync::Mutex<mpsc::UnboundedReceiver<Call>>,
    listening: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    script: Mutex<VecDeque<Reply>>,
    count: AtomicUsize,
    in_hand: AtomicUsize,
    most_in_hand: AtomicUsize,
}

impl Target {
    /// One that answers by script, and 200 once the script is at its end.
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { script: Mutex::new(script.into_iter().collect()), ..Shared::default() });
        let (record, calls) = mpsc::unbounded_channel();
        let listener = listener.into_std().expect("a socket");
        let listening = runtime().spawn(listen(listener, Arc::clone(&shared), record));
        Self { address, shared, calls: tokio::sync::Mutex::new(calls), listening }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next call, once its request has been read.
    pub(crate) async fn call(&self) -> Call {
        soon("a call of the handler", async { self.calls.lock().await.recv().await }).await.expect("the target lives")
    }

    /// Further replies.
    pub(crate) fn will(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.script.lock().unwrap().extend(replies);
    }

    /// Calls so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Most calls at one time so far.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most_in_hand.load(Ordering::SeqCst)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: std::net::TcpListener, shared: Arc<Shared>, record: mpsc::UnboundedSender<Call>) {
    let listener = TcpListener::from_std(listener).expect("a socket");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(serve(stream, Arc::clone(&shared), record.clone()));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, record: mpsc::UnboundedSender<Call>) {
    let mut stream = BufReader::new(stream);
    let Some(call) = read(&mut stream).await else { return };
    shared.count.fetch_add(1, Ordering::SeqCst);
    let in_hand = shared.in_hand.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_in_hand.fetch_max(in_hand, Ordering::SeqCst);
    let reply = shared.script.lock().unwrap().pop_front().unwrap_or_else(|| Reply::status(200));
    drop(record.send(call));
    let reply = match reply {
        Reply::After(gate, reply) => {
            gate.pass().await;
            *reply
        }
        at_once => at_once,
    };
    // Before the answer: once it is out the next call may come.
    shared.in_hand.fetch_sub(1, Ordering::SeqCst);
    drop(write(stream.get_mut(), &reply).await);
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let fields = lines[1..].iter().filter_map(|line| line.split_once(':'));
    let headers: Vec<_> = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Call { method, path, headers, body })
}

async fn write(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    match reply {
        Reply::Bytes(bytes) => {
            stream.write_all(bytes).await?;
            stream.shutdown().await
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Reply::After(..) => unreachable!("one gate is enough"),
    }
}
