//! Handlers that are internal HTTP services.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use sha2::Sha256;

use super::call::{self, Trust};
use super::{Call, Handler};
use crate::model::{Headers, Outcome, Secret, SourceName, Timestamp};

/// Makes a provider's own signature anew: the headers to set, where the source's scheme can be signed.
pub type Resign = Arc<dyn Fn(&SourceName, &Headers, &[u8], Timestamp) -> Option<Vec<(String, String)>> + Send + Sync>;

/// How one is called.
pub struct HttpHandlerSettings {
    /// What it is called by.
    pub client: HttpClient,
    /// Where it listens.
    pub url: Url,
    /// Headers of its own; they replace the delivery's of the same name.
    pub headers: Vec<(String, Secret)>,
    /// Which of the kept headers it gets, in lower case; none is all that were kept by default.
    pub forward_headers: Option<Vec<String>>,
    /// The key of our signature, `whsec_` and base64, or any text.
    pub sign_with: Secret,
    /// Makes the provider's signature anew instead of ours.
    pub resign: Option<Resign>,
}

impl fmt::Debug for HttpHandlerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpHandlerSettings").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

/// Connections to HTTP handlers, a pool for those that are plain and one for those that are encrypted: each is made for the first
/// handler that needs it, as a machine may have no certificates. A clone has the same pools.
#[derive(Clone, Debug, Default)]
pub struct HttpClient(Arc<Pools>);

#[derive(Debug, Default)]
struct Pools {
    plain: OnceLock<Client>,
    encrypted: OnceLock<Client>,
}

impl HttpClient {
    /// What calls this URL.
    fn of(&self, url: &Url) -> Result<Client, InvalidHandler> {
        let (pool, trust) =
            if url.scheme() == "https" { (&self.0.encrypted, Trust::System) } else { (&self.0.plain, Trust::Nobody) };
        if let Some(client) = pool.get() {
            return Ok(client.clone());
        }
        let made = call::client(trust).map_err(|error| InvalidHandler::Client(call::innermost(&error).to_string()))?;
        Ok(pool.get_or_init(|| made).clone())
    }
}

/// Why a handler cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InvalidHandler {
    /// There is no key to sign calls with.
    #[error("there is no key to sign its calls with")]
    Absent,
    /// The key begins like a Standard Webhooks one and is not base64.
    #[error("the key of `sign_with` begins with whsec_ but what follows is not base64")]
    Base64,
    /// What calls it cannot be set up.
    #[error(
        "the HTTP client cannot be set up: {0}; https needs certificates to trust: the system's, or a file named by SSL_CERT_FILE"
    )]
    Client(String),
    /// A header's value cannot be sent.
    #[error("the value of header `{0}` cannot be sent")]
    Header(String),
    /// It is to be called in this process, and nothing there has its name.
    #[error("no closure of this process has its name")]
    Closure,
}

/// Bodies over this are signed off the async threads, as a MAC over 25 MiB takes some 20 ms.
const INLINE_BODY_BYTES_MAX: usize = 256 << 10;

/// An internal HTTP service that gets events by POST.
pub struct HttpHandler {
    client: Client,
    url: Url,
    writer: Arc<HeaderWriter>,
}

/// What writes the headers of a call.
struct HeaderWriter {
    headers: HeaderMap,
    forward_headers: Option<Vec<String>>,
    key: Hmac<Sha256>,
    resign: Option<Resign>,
}

impl HttpHandler {
    /// Prepares everything that does not change from call to call.
    ///
    /// # Errors
    /// [`InvalidHandler`].
    pub fn new(settings: HttpHandlerSettings) -> Result<Self, InvalidHandler> {
        let mut headers = HeaderMap::new();
        for (name, secret) in &settings.headers {
            let bad = || InvalidHandler::Header(name.clone());
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| bad())?;
            let mut value = HeaderValue::from_bytes(secret.reveal()).map_err(|_invalid| bad())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let writer = HeaderWriter {
            headers,
            forward_headers: settings.forward_headers,
            key: standard_key(&settings.sign_with)?,
            resign: settings.resign,
        };
        Ok(Self { client: settings.client.of(&settings.url)?, url: settings.url, writer: Arc::new(writer) })
    }

    async fn send(&self, call: Call) -> Outcome {
        let signed = if call.body.len() <= INLINE_BODY_BYTES_MAX {
            self.writer.headers(&call)
        } else {
            let (writer, call) = (Arc::clone(&self.writer), call.clone());
            tokio::task::spawn_blocking(move || writer.headers(&call)).await.unwrap_or(None)
        };
        let Some(headers) = signed else {
            return Outcome::Broken("it cannot be signed as its provider does: the source has no secret for that now".to_owned());
        };
        let mut request = Request::new(Method::POST, self.url.clone());
        *request.headers_mut() = headers;
        *request.timeout_mut() = Some(call.timeout);
        *request.body_mut() = Some(call.body.into());
        call::send(&self.client, request, call.now).await
    }
}

impl HeaderWriter {
    /// Every header of a call: the delivery's first, the operator's over them, and the gateway's own over all. None where the
    /// provider's signature is wanted and cannot be made.
    fn headers(&self, call: &Call) -> Option<HeaderMap> {
        let mut map = HeaderMap::with_capacity(24);
        self.forwarded(call, &mut map);
        for (name, value) in &self.headers {
            map.insert(name, value.clone());
        }
        let signature = match &self.resign {
            Some(resign) => resign(&call.source, &call.headers, &call.body, call.now)?,
            None => self.standard_signature(call),
        };
        for (name, value) in signature {
            set(&mut map, &name, &value);
        }
        for (name, value) in call.facts() {
            set(&mut map, name, &value);
        }
        set(&mut map, "idempotency-key", &quoted(&call.idempotency_key));
        Some(map)
    }

    /// The kept headers that this handler is to get.
    fn forwarded(&self, call: &Call, map: &mut HeaderMap) {
        for (name, value) in call.forwarded() {
            if self.forward_headers.as_ref().is_some_and(|names| !names.iter().any(|wanted| wanted == name)) {
                continue;
            }
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
    }

    /// Our own signature, by Standard Webhooks: any of its libraries verifies it.
    fn standard_signature(&self, call: &Call) -> Vec<(String, String)> {
        let id = format!("{}/{}", call.source, call.event_id);
        let time = call.now.unix_s().to_string();
        let mut mac = self.key.clone();
        for part in [id.as_bytes(), b".", time.as_bytes(), b".", &call.body] {
            mac.update(part);
        }
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        vec![("webhook-id".to_owned(), id), ("webhook-timestamp".to_owned(), time), ("webhook-signature".to_owned(), signature)]
    }
}

impl Handler for HttpHandler {
    fn call(&self, call: Call) -> BoxFuture<'_, Outcome> {
        Box::pin(self.send(call))
    }

    /// Without the query, which may hold a token.
    fn target(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.to_string()
    }
}

impl fmt::Debug for HttpHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpHandler").field("target", &self.target()).finish_non_exhaustive()
    }
}

/// A Standard Webhooks key: base64 after `whsec_`; any other text is its own bytes.
fn standard_key(secret: &Secret) -> Result<Hmac<Sha256>, InvalidHandler> {
    let decoded;
    let bytes = match secret.reveal().strip_prefix(b"whsec_") {
        Some(text) => {
            decoded = zeroize::Zeroizing::new(STANDARD.decode(text.trim_ascii()).map_err(|_invalid| InvalidHandler::Base64)?);
            &decoded[..]
        }
        None => secret.reveal(),
    };
    Hmac::new_from_slice(bytes).map_err(|_length| InvalidHandler::Base64)
}

/// Sets a header of ours. Every value here is visible ASCII by its own rule; one that is not is left out.
fn set(map: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        map.insert(name, value);
    }
}

/// A structured-field string, in which `"` and `\` need an escape.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
