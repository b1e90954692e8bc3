//! Fixtures: recorded deliveries as folders, `request.http` with the exact bytes and `case.toml` with what must come of them.
//!
//! `replay` plays them and the tests walk them. Parsing is pure; [`load`] alone reads files, of the folder that it is given.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;

use crate::model::Headers;

/// The file with the request.
const REQUEST_FILE: &str = "request.http";
/// The file with what must come of it.
const CASE_FILE: &str = "case.toml";
/// How deep folders of fixtures may lie in each other.
const DEPTH_MAX: usize = 8;

/// Why something is no fixture.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is there, but not as a fixture has it.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// There is no fixture at all.
    #[error("{}: no fixture here; one is a folder with `{REQUEST_FILE}` and `{CASE_FILE}`", path.display())]
    Nothing {
        /// Where.
        path: PathBuf,
    },
}

/// What must come of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// It becomes an event.
    Accepted,
    /// It is refused.
    Rejected,
}

/// `case.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows.
    pub title: String,
    /// The page that describes such a delivery.
    pub docs: Option<String>,
    /// The provider's preset.
    pub provider: String,
    /// The secret that it was signed with. Made for tests, never a real one.
    pub secret: String,
    /// The wall clock at which it is judged, in Unix seconds.
    pub now: i64,
    /// What must come of it.
    pub expect: Expectation,
    /// The id of the event, of an accepted one.
    pub event_id: Option<String>,
    /// The type of the event, of an accepted one.
    pub event_type: Option<String>,
    /// The status of the answer, of a rejected one.
    pub status: Option<u16>,
    /// The reason, of a rejected one.
    pub reason: Option<String>,
    /// What was done to it after signing.
    pub defect: Option<String>,
}

impl Case {
    /// Reads the text of `case.toml`.
    ///
    /// # Errors
    /// A sentence for people, where it is no case or says too little about what must come of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let case: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let complete = match case.expect {
            Expectation::Accepted => case.event_id.is_some() && case.event_type.is_some(),
            Expectation::Rejected => case.status.is_some() && case.reason.is_some(),
        };
        match (complete, case.expect) {
            (true, _) => Ok(case),
            (false, Expectation::Accepted) => Err("an accepted case says its `event_id` and `event_type`".to_owned()),
            (false, Expectation::Rejected) => Err("a rejected case says its `status` and `reason`".to_owned()),
        }
    }
}

/// A request as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The method, in upper case.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The header fields, all of them.
    pub headers: Headers,
    /// The body's bytes.
    pub body: Bytes,
}

impl RecordedRequest {
    /// Reads an HTTP/1.1 request. The body is every byte after the empty line.
    ///
    /// # Errors
    /// A sentence for people, where the head is malformed or `Content-Length` differs from the body.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, String> {
        let request = Self::read(bytes)?;
        request.judge_length()?;
        Ok(request)
    }

    /// The same, whatever its head says of the body's length: of a capture the bytes alone count.
    ///
    /// # Errors
    /// A sentence for people, where the head is malformed.
    pub fn read(bytes: impl Into<Bytes>) -> Result<Self, String> {
        let bytes = bytes.into();
        let mut rest = &bytes[..];
        let first = next_line(&mut rest).ok_or("the request has no first line")?;
        let (method, target) = request_line(first).ok_or("the first line is not `METHOD /path HTTP/1.1`")?;
        let mut headers = Headers::new();
        loop {
            let line = next_line(&mut rest).ok_or("the head does not end with an empty line")?;
            if line.is_empty() {
                break;
            }
            let (name, value) = header_line(line).ok_or_else(|| format!("`{}` is no header", String::from_utf8_lossy(line)))?;
            headers.push(name, Bytes::copy_from_slice(value));
        }
        Ok(Self { method, target, headers, body: bytes.slice_ref(rest) })
    }

    fn judge_length(&self) -> Result<(), String> {
        if self.headers.find("transfer-encoding").is_some() {
            return Err("the body has a transfer encoding; record it decoded, with its length".to_owned());
        }
        let Some(said) = self.headers.find("content-length") else { return Ok(()) };
        let length = std::str::from_utf8(said).ok().and_then(|said| said.parse::<usize>().ok());
        if length == Some(self.body.len()) {
            return Ok(());
        }
        Err(format!("`Content-Length` is {}, but the body has {} bytes", String::from_utf8_lossy(said), self.body.len()))
    }
}

/// The next line without its end, which is CR LF or LF.
fn next_line<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

fn request_line(line: &[u8]) -> Option<(String, String)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let method_fits = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let fits = method_fits && target.starts_with('/') && version == "HTTP/1.1" && words.next().is_none();
    fits.then(|| (method.to_owned(), target.to_owned()))
}

fn header_line(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = std::str::from_utf8(&line[..colon]).ok().filter(|name| Headers::is_name(name))?;
    let value = line[colon + 1..].trim_ascii();
    Headers::is_clean(value).then_some((name, value))
}

/// A recorded delivery.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The last two folders of its path, as `stripe/invoice.paid`.
    pub name: String,
    /// What must come of it.
    pub case: Case,
    /// The request.
    pub request: RecordedRequest,
}

/// Every fixture in a folder and the folders inside it, by path; the folder may be a fixture itself.
///
/// # Errors
/// [`FixtureError`] for the first that cannot be read, and where there is none.
///
/// # Limits
/// Folders 8 deep.
pub fn load(folder: &Path) -> Result<Vec<Fixture>, FixtureError> {
    let mut fixtures = Vec::new();
    collect(folder, DEPTH_MAX, &mut fixtures)?;
    if fixtures.is_empty() { Err(FixtureError::Nothing { path: folder.to_owned() }) } else { Ok(fixtures) }
}

fn collect(folder: &Path, depth: usize, fixtures: &mut Vec<Fixture>) -> Result<(), FixtureError> {
    if folder.join(CASE_FILE).exists() || folder.join(REQUEST_FILE).exists() {
        fixtures.push(load_one(folder)?);
        return Ok(());
    }
    let unreadable = |source| FixtureError::Unreadable { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let mut folders: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    if depth == 0 {
        return Ok(());
    }
    folders.iter().try_for_each(|inner| collect(inner, depth - 1, fixtures))
}

fn load_one(folder: &Path) -> Result<Fixture, FixtureError> {
    let read = |file: &str| {
        let path = folder.join(file);
        fs::read(&path).map_err(|source| FixtureError::Unreadable { path, source })
    };
    let malformed = |file: &str, message: String| FixtureError::Malformed { path: folder.join(file), message };
    let case = String::from_utf8(read(CASE_FILE)?).map_err(|error| malformed(CASE_FILE, error.to_string()))?;
    let case = Case::parse(&case).map_err(|message| malformed(CASE_FILE, message))?;
    let request = RecordedRequest::parse(read(REQUEST_FILE)?).map_err(|message| malformed(REQUEST_FILE, message))?;
    let mut names: Vec<_> = folder.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    names.reverse();
    Ok(Fixture { name: names.join("/"), case, request })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_byte_for_byte() {
        let bytes =
            &b"POST /hooks/a?b=c HTTP/1.1\r\nHost: x\r\nX-A:  1 \r\nX-A: 2\r\nContent-Length: 7\r\n\r\n{\r\n}\r\n\xff"[..];
        let request = RecordedRequest::parse(bytes).expect("right");
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hooks/a?b=c"));
        assert_eq!(request.headers.all("x-a").map(|value| &value[..]).collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(&request.body[..], b"{\r\n}\r\n\xff");
    }

    #[test]
    fn what_is_no_request_is_told() {
        for (bad, expected) in [
            ("", "no first line"),
            ("POST / HTTP/1.1\r\n", "does not end with an empty line"),
            ("POST /\r\n\r\n", "is not `METHOD /path HTTP/1.1`"),
            ("post / HTTP/1.1\r\n\r\n", "is not `METHOD /path HTTP/1.1`"),
            ("POST / HTTP/1.1\r\nbad header\r\n\r\n", "`bad header` is no header"),
            ("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{", "`Content-Length` is 2, but the body has 1 bytes"),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{", "transfer encoding"),
        ] {
            let error = RecordedRequest::parse(bad.as_bytes()).expect_err(bad);
            assert!(error.contains(expected), "{bad:?}: {error}");
        }
    }

    #[test]
    fn a_case_says_what_must_come_of_it() {
        let head = "title = 'x'\nprovider = 'stripe'\nsecret = 's'\nnow = 1\n";
        assert!(Case::parse(&format!("{head}expect = 'accepted'\nevent_id = 'e'\nevent_type = 't'")).is_ok());
        for bad in
            ["", "expect = 'accepted'", "expect = 'rejected'\nstatus = 401", "expect = 'accepted'\nid = 'e'", "expect = 'maybe'"]
        {
            Case::parse(&format!("{head}{bad}")).expect_err(bad);
        }
    }
}
