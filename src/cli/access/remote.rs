//! An admin listener: beside our database, or the one that `--gateway` names.

use reqwest::{Client, Method, Response, StatusCode, Url, header};
use serde::de::DeserializeOwned;

use super::super::client::{client, is_loopback};
use super::super::exit::{Failure, NO, UNREACHABLE, USAGE};
use super::super::print;
use crate::config::Environment;
use crate::handler::innermost;
use crate::model::{ReloadReport, Secret};

/// Where the token of a named gateway is.
const TOKEN: &str = "HOOKGATE_ADMIN_TOKEN";
/// What every problem of ours begins with.
const PROBLEM: &str = "urn:hookgate:problem:";

/// An admin listener.
pub(in crate::cli) struct Remote {
    client: Client,
    base: String,
    token: Option<Secret>,
    /// Whether the operator named it: then nothing is known of what answers there.
    named: bool,
}

impl Remote {
    /// Beside our database.
    pub(super) fn beside(address: &str, token: Option<Secret>) -> Result<Self, Failure> {
        // Nothing is encrypted on this way, so no certificates of the system are needed.
        Ok(Self { client: client(false)?, base: format!("http://{address}"), token, named: false })
    }

    /// At the operator's word.
    pub(super) fn named(text: &str, quiet: bool) -> Result<Self, Failure> {
        let url = gateway_url(text)?;
        let token = match Environment::of_process().var(TOKEN) {
            None => None,
            Some(text) => {
                let wrong = |error| Failure::new(USAGE, format!("{TOKEN} {error}"));
                Some(Secret::new(text.into_bytes()).map_err(wrong)?)
            }
        };
        let encrypted = url.scheme() == "https";
        if !encrypted && !quiet && token.is_some() && !is_loopback(&url) {
            print::warning("the admin token goes to another machine unencrypted: use https, or a tunnel to its loopback");
        }
        Ok(Self { client: client(encrypted)?, base: url.as_str().trim_end_matches('/').to_owned(), token, named: true })
    }

    /// What a `GET` answers, as JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl serde::Serialize) -> Result<T, Failure> {
        let pairs = serde_json::to_value(query).unwrap_or_default();
        let response = self
            .send(Method::GET, path, |mut request| {
                for (name, value) in pairs.as_object().into_iter().flatten() {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    request = request.query(&[(name, text)]);
                }
                request
            })
            .await?;
        self.json(response).await
    }

    /// What a `POST` answers, as JSON.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl serde::Serialize) -> Result<T, Failure> {
        let response = self.send(Method::POST, path, |request| request.json(body)).await?;
        self.json(response).await
    }

    /// Has the gateway read its configuration again.
    pub(in crate::cli) async fn reload(&self) -> Result<ReloadReport, Failure> {
        let response = self.send(Method::POST, "reload", |request| request).await?;
        self.json(response).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Response, Failure> {
        let mut request = with(self.client.request(method, format!("{}/api/v1/{path}", self.base)));
        if let Some(token) = &self.token {
            request = request.bearer_auth(String::from_utf8_lossy(token.reveal()));
        }
        let response = request.send().await.map_err(|error| self.lost(error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let bytes = response.bytes().await.map_err(|error| self.lost(error))?;
        serde_json::from_slice(&bytes).map_err(|_other| self.stranger("its answer is not what an admin listener says"))
    }

    /// It was not reached, or its answer broke off.
    pub(super) fn lost(&self, error: reqwest::Error) -> Failure {
        let error = error.without_url();
        let reason = innermost(&error);
        Failure::new(UNREACHABLE, format!("the admin listener at {} does not answer: {reason}", self.base))
    }

    fn stranger(&self, why: &str) -> Failure {
        Failure::new(
            UNREACHABLE,
            format!("{} is no admin listener of a hookgate: {why}\nhelp: give the URL that `serve` prints as `admin`", self.base),
        )
    }

    async fn refused(&self, response: Response) -> Failure {
        #[derive(serde::Deserialize)]
        struct Problem {
            r#type: String,
            title: String,
        }
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("elsewhere");
            return self.stranger(&format!("it answers {status}, to {}", to.escape_debug()));
        }
        let problem = response.bytes().await.ok().and_then(|bytes| serde_json::from_slice::<Problem>(&bytes).ok());
        let Some((code, title)) =
            problem.as_ref().and_then(|problem| Some((problem.r#type.strip_prefix(PROBLEM)?, &problem.title)))
        else {
            return self.stranger(&format!("it answers {status}"));
        };
        // What is wrong with a config is told in several lines.
        let title: String = title.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
        // The same exit codes as with the database in hand.
        match (status, code) {
            (_, "ambiguous-id" | "unknown-handler" | "no-task" | "bad-config") => Failure::new(USAGE, title),
            (StatusCode::UNAUTHORIZED, _) if self.token.is_some() => Failure::new(
                USAGE,
                format!("the admin listener refused the token: set {TOKEN} to the one that `serve` was started with"),
            ),
            (StatusCode::UNAUTHORIZED, _) => Failure::new(USAGE, format!("the admin listener wants its token: set {TOKEN}")),
            (StatusCode::NOT_FOUND, "not-found") if title == "There is nothing here" => {
                self.stranger("it is a hookgate's public listener, or an older hookgate")
            }
            (StatusCode::FORBIDDEN, "unknown-host") if self.named => Failure::new(
                USAGE,
                format!(
                    "the admin listener does not go by this name: it takes other names than 127.0.0.1 and localhost only with a token\nhelp: set `token` in its [admin], and {TOKEN} here"
                ),
            ),
            (StatusCode::NOT_FOUND | StatusCode::CONFLICT, _) => Failure::new(NO, title),
            (StatusCode::BAD_REQUEST, _) => Failure::new(USAGE, title),
            _ => Failure::new(UNREACHABLE, title),
        }
    }
}

fn gateway_url(text: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| {
        let text = text.escape_debug();
        Failure::new(
            USAGE,
            format!("--gateway `{text}` {why}\nhelp: such as https://hooks.example.com:8081 or http://127.0.0.1:8081"),
        )
    };
    let url = Url::parse(text).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is no http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated: it is a secret.
        return Err(Failure::new(USAGE, format!("--gateway takes no user or password: the token goes into {TOKEN}")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has more than an address"));
    }
    Ok(url)
}
