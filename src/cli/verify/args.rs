//! What was typed after `hookgate verify`.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "Examples:
  hookgate verify request.http                 the source is in its path
  hookgate verify request.http --source stripe --now 1767225600
  hookgate verify request.http --provider stripe --secret-env STRIPE_SECRET
  hookgate verify - --provider github --secret-file /run/secrets/hook --json
  hookgate verify request.http --url 'https://hooks.example.com/hooks/acme?a=b'

REQUEST is one HTTP/1.1 request as it was on the wire: the first line, the header lines, an empty line, and the body, which is every \
byte that follows. Lines of the head may end in CR LF or LF; the body is never touched. Save it with a tool that copies bytes, as \
editors add a line end and then the signature does not fit.

Where it does not fit, usual changes of body and secret are tried, and the hint says which one would pass. Nothing is sent, stored or \
changed. Exit codes: 0 it passes or is a handshake, 1 it does not, 2 wrong usage or config.";

/// `verify`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct VerifyArgs {
    /// File with the request as it was on the wire; `-` is stdin
    #[arg(value_name = "REQUEST")]
    pub(super) request: PathBuf,
    /// Judge it as this source of the config would [default: the one that the request's path names]
    #[arg(long, value_name = "NAME", conflicts_with = "provider")]
    pub(super) source: Option<String>,
    /// Judge it by this provider's rules, with the secrets given here
    #[arg(long, value_name = "NAME")]
    pub(super) provider: Option<String>,
    /// A secret is the bytes of this file, less one line end; may be given several times
    #[arg(long, value_name = "[SLOT=]PATH", requires = "provider")]
    pub(super) secret_file: Vec<String>,
    /// A secret is the value of this variable; may be given several times
    #[arg(long, value_name = "[SLOT=]VAR", requires = "provider")]
    pub(super) secret_env: Vec<String>,
    /// A parameter that the provider needs; may be given several times
    #[arg(long, value_name = "KEY=VALUE", requires = "provider", value_parser = pair)]
    pub(super) param: Vec<(String, String)>,
    /// The public URL that the provider called; its query is read [default: the query of the request's first line]
    #[arg(long, value_name = "URL", value_parser = public_query)]
    pub(super) url: Option<PublicQuery>,
    /// Only this check of the provider may decide; may be given several times [default: the first of each slot]
    #[arg(long, value_name = "ID")]
    pub(super) allow: Vec<String>,
    /// Judge it as of this time, in Unix seconds [default: now]
    #[arg(long, value_name = "UNIX", value_parser = clap::value_parser!(i64).range(0..=253_402_300_799))]
    pub(super) now: Option<i64>,
    /// As one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// What stands behind the `?` of a public URL, as it was written.
#[derive(Clone, Debug)]
pub(super) struct PublicQuery(pub(super) Box<str>);

fn public_query(text: &str) -> Result<PublicQuery, String> {
    let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it is an http or https URL".to_owned());
    }
    let sent = text.split('#').next().unwrap_or_default();
    Ok(PublicQuery(sent.split_once('?').map_or("", |(_, query)| query).into()))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
