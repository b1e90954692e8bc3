//! A captured request, read from a file or stdin.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::cli::exit::{Failure, USAGE};
use crate::cli::print;
use crate::config::BODY_LIMIT_MAX;
use crate::fixture::RecordedRequest;

/// Longest capture: the longest body that a source may take, and more of a head than any listener reads.
const CAPTURE_BYTES_MAX: u64 = BODY_LIMIT_MAX + (1 << 20);

/// Reads it. Of the head only the form is judged; the body is every byte behind it.
pub(super) fn read(path: &Path) -> Result<RecordedRequest, Failure> {
    let name = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
    let bytes = bytes(path).map_err(|error| Failure::new(USAGE, format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > CAPTURE_BYTES_MAX {
        return Err(Failure::new(
            USAGE,
            format!("{name} is too long: a request has at most {} here", print::size(CAPTURE_BYTES_MAX)),
        ));
    }
    if bytes.is_empty() {
        return Err(Failure::new(USAGE, format!("{name} is empty\nhelp: {FORM}")));
    }
    RecordedRequest::read(bytes)
        .map_err(|message| Failure::new(USAGE, format!("{name} is no HTTP request: {message}\nhelp: {FORM}")))
}

const FORM: &str = "it is `POST /hooks/NAME HTTP/1.1`, the header lines, an empty line, and the body as it came";

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(CAPTURE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(CAPTURE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
