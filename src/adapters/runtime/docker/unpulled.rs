//! Why a pull gave no image: what Docker says of a registry, and what a person does about it.
//!
//! Docker gives one line and a status that says little, so the line is read. What it says of the certificate of a registry,
//! and of what the registry has, it would say again; everything else may pass.

use std::time::Duration;

use bollard::errors::Error;
use cutover_domain::reference::Reference;

use super::client::{bounded, status, whole_text};
use super::{Login, RuntimeError};

/// Docker Hub, as it stands in references.
pub(super) const HUB: &str = "docker.io";
/// Docker Hub, as it is asked.
const HUB_SERVER: &str = "https://registry-1.docker.io";
/// Where Docker looks for what it trusts of one registry, and for what it shows to it.
const CERTIFICATES: &str = "/etc/docker/certs.d";

/// What Docker says when the registry has the image, and not for the platform.
const OTHER_PLATFORMS: [&str; 2] = ["no matching manifest", "no match for platform"];
/// What Docker says when the registry answered that it does not have the image.
const ABSENT: [&str; 4] = ["manifest unknown", "manifest for", "name unknown", "repository name not known"];
/// What Docker says beside it where the registry does not tell whether it has the image.
const DENIED: [&str; 3] = ["denied", "unauthorized", "no basic auth credentials"];
/// What Docker says when the registry answered, and does not give the image; the status alone does not tell.
const NOT_GIVEN: [&str; 8] = [
    "manifest unknown",
    "manifest for",
    "not found",
    "pull access denied",
    "no basic auth credentials",
    "unauthorized",
    "access to the resource is denied",
    "name unknown",
];

/// What Docker says of a registry that does not speak TLS.
const PLAIN: [&str; 2] =
    ["server gave http response to https client", "first record does not look like a tls handshake"];
/// What Docker says of a registry that wants to see a certificate of Docker's.
const WANTS_OURS: [&str; 2] = ["tls: bad certificate", "tls: certificate required"];
/// What Docker says of every certificate that it does not take.
const CERTIFICATE: &str = "x509:";
/// The certificate is of nobody whom it trusts.
const UNKNOWN_AUTHORITY: &str = "certificate signed by unknown authority";
/// The certificate is not valid now.
const NOT_NOW: &str = "certificate has expired or is not yet valid";
/// The certificate is for other names.
const OTHER_NAME: [&str; 4] =
    ["certificate is valid for", "cannot validate certificate for", "not valid for any names", "legacy common name"];

/// What Docker says of a registry that it cannot reach, and why that is, in a person's words. The first that fits counts.
const NO_WAY: [(&[&str], &str); 6] = [
    (&["no such host"], NO_SUCH_HOST),
    (&["server misbehaving", "name resolution", "dial tcp: lookup"], NOT_LOOKED_UP),
    (&["connection refused"], "the connection was refused"),
    (&["no route to host", "network is unreachable"], "there is no way to it"),
    (&["i/o timeout", "deadline exceeded", "client.timeout", "handshake timeout", "request canceled"], "time-out"),
    (&["dial tcp"], "no connection came about"),
];
const NO_SUCH_HOST: &str = "no such host";
const NOT_LOOKED_UP: &str = "its name could not be looked up";
/// What Docker says of a connection that was lost in the middle. Go says `EOF` at the end of a text of others.
const BROKEN: [&str; 4] = ["unexpected eof", ": eof", "connection reset", "broken pipe"];
/// What Docker says of a registry that has trouble of its own.
const ITS_TROUBLE: &str = "unexpected http status: 5";
/// What Docker says of a registry that counts pulls.
const TOO_MANY: [&str; 2] = ["toomanyrequests", "too many requests"];
/// What Docker says when the image does not find room.
const NO_ROOM: &str = "no space left on device";

/// What was asked for, and by whom.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) reference: &'a str,
    /// `os/arch[/variant]`; empty for the server's.
    pub(super) platform: &'a str,
    pub(super) login: Option<&'a Login>,
}

/// Why a pull gave no image. What was said is one line, without a value that opens the registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unpulled {
    /// The registry answered, and it was no.
    NotGiven(String),
    /// The registry answered that it has the image, and not for the platform.
    OtherPlatforms(String),
    /// The registry answered that it does not have it: it may have it later.
    NotPushed(String),
    /// The registry could not be asked, or not to the end: why in a few words, and the line for a person.
    Away(&'static str, String),
    /// Everything else.
    Other(RuntimeError),
}

impl Unpulled {
    /// Whether the registry has answered that it does not give the image.
    pub(super) fn is_an_answer(&self) -> bool {
        matches!(self, Self::NotGiven(_) | Self::OtherPlatforms(_) | Self::NotPushed(_))
    }

    /// Why in a few words, where the registry is asked again.
    pub(super) fn brief(&self) -> Option<&'static str> {
        match self {
            Self::Away(why, _) => Some(*why),
            Self::NotGiven(_) | Self::OtherPlatforms(_) | Self::NotPushed(_) | Self::Other(_) => None,
        }
    }
}

impl Asked<'_> {
    /// The registry of the reference, as people write it.
    pub(super) fn registry(&self) -> String {
        Reference::parse(self.reference).map_or_else(|_| "of its name".to_owned(), |full| full.host)
    }

    /// Docker answers, and nothing has come of the pull for that long.
    pub(super) fn silent(&self, silence: Duration) -> Unpulled {
        let came = format!("for {} s nothing has come", silence.as_secs());
        Unpulled::Away("nothing came any more", self.slow(&came))
    }

    /// The pull has gone on for that long, and is not at its end.
    pub(super) fn too_long(&self, limit: Duration) -> Unpulled {
        let came = format!("within {} s it has not come whole", limit.as_secs());
        Unpulled::Away("it took too long", self.slow(&came))
    }

    fn slow(&self, came: &str) -> String {
        let (reference, registry) = (self.reference, self.registry());
        let server = server("", &registry);
        format!(
            "Docker was asked for the image {reference}, and {came} from its registry {registry}; on the server, `curl -v \
             {server}/v2/` shows whether it answers"
        )
    }

    /// What an error of a pull means.
    pub(super) fn why(&self, error: &Error) -> Unpulled {
        let full = whole_text(error);
        // Before it is cut: half of a value would be found no more.
        let said = bounded(&self.login.map_or_else(|| full.clone(), |login| login.scrubbed(&full)));
        match error {
            Error::DockerResponseServerError { .. } | Error::DockerStreamError { .. } => self.told(status(error), said),
            _ => Unpulled::Other(RuntimeError::Unavailable(format!("pull: {said}"))),
        }
    }

    /// What Docker's own line means.
    fn told(&self, status: Option<u16>, said: String) -> Unpulled {
        let lower = said.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if let Some(help) = self.distrusted(&lower) {
            let text = format!("the image {} cannot be pulled: {help} ({said})", self.reference);
            return Unpulled::Other(RuntimeError::Refused(text));
        }
        if says(&OTHER_PLATFORMS) {
            return Unpulled::OtherPlatforms(said);
        }
        // Whatever the address of one that is not reached is called, it has answered nothing.
        if says(&["dial tcp"]) {
            return self.away(&lower, &said);
        }
        if says(&ABSENT) && !says(&DENIED) {
            return Unpulled::NotPushed(said);
        }
        if matches!(status, Some(401 | 403 | 404)) || says(&NOT_GIVEN) {
            return Unpulled::NotGiven(said);
        }
        match status {
            Some(400) => Unpulled::Other(RuntimeError::Refused(format!("Docker refused to pull: {said}"))),
            _ => self.away(&lower, &said),
        }
    }

    /// Why Docker does not speak with the registry, and what a person does about it: it would say the same again.
    fn distrusted(&self, lower: &str) -> Option<String> {
        let registry = self.registry();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if says(&PLAIN) {
            return Some(format!(
                "Docker on the server asks the registry {registry} by TLS, and it speaks plain HTTP; give it a certificate, \
                 or name it under \"insecure-registries\" in /etc/docker/daemon.json and reload Docker"
            ));
        }
        if says(&WANTS_OURS) {
            return Some(format!(
                "the registry {registry} wants to see a certificate of Docker's; it belongs on the server, as client.cert \
                 and client.key in {CERTIFICATES}/{registry}"
            ));
        }
        if !lower.contains(CERTIFICATE) {
            return None;
        }
        Some(match () {
            () if lower.contains(UNKNOWN_AUTHORITY) && registry == HUB => format!(
                "Docker on the server does not trust the certificate of the registry {registry}; that of the authority \
                 which signed it belongs to those of the system (update-ca-certificates), then restart Docker"
            ),
            () if lower.contains(UNKNOWN_AUTHORITY) => format!(
                "Docker on the server does not trust the certificate of the registry {registry}; that of the authority \
                 which signed it belongs on the server, as {CERTIFICATES}/{registry}/ca.crt"
            ),
            () if lower.contains(NOT_NOW) => format!(
                "the certificate of the registry {registry} has expired, or is not valid yet; renew it, or set the clock of \
                 the server (`date`)"
            ),
            () if says(&OTHER_NAME) => format!(
                "the certificate of the registry {registry} is for another name; pull by a name that it holds, or give the \
                 registry one that holds this name"
            ),
            () => format!("Docker on the server does not take the certificate of the registry {registry}"),
        })
    }

    /// The registry could not be asked, or not to the end.
    fn away(&self, lower: &str, said: &str) -> Unpulled {
        let (reference, registry) = (self.reference, self.registry());
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let asked = format!("Docker was asked for the image {reference}");
        let server = server(said, &registry);
        let look = format!("on the server, `curl -v {server}/v2/` shows what answers");
        if let Some((_, why)) = NO_WAY.iter().find(|(words, _)| says(words)) {
            let look = match *why {
                NO_SUCH_HOST | NOT_LOOKED_UP => format!("on the server, `getent hosts {}` looks it up", name(&server)),
                _ => look,
            };
            return Unpulled::Away(
                why,
                format!("{asked} and could not reach its registry {registry}: {why} ({said}); {look}"),
            );
        }
        let (why, text) = match () {
            () if says(&BROKEN) => (
                "the connection broke off",
                format!("the connection to its registry {registry} broke off ({said}); {look}"),
            ),
            () if says(&TOO_MANY) => (
                "the registry wants to be asked less often",
                format!(
                    "its registry {registry} wants to be asked less often ({said}); credentials usually allow more"
                ),
            ),
            () if lower.contains(ITS_TROUBLE) => (
                "the registry has trouble of its own",
                format!("its registry {registry} has trouble of its own ({said}); {look}"),
            ),
            () if lower.contains(NO_ROOM) => (
                "there is no room for it",
                format!("there is no room for it ({said}); `docker system df` shows what takes it"),
            ),
            () => {
                ("it could not be pulled", format!("could not have it from its registry {registry} ({said}); {look}"))
            }
        };
        Unpulled::Away(why, format!("{asked}, and {text}"))
    }

    /// What a person is told of it; `offered` are the platforms that the registry has the image for, where it is known.
    pub(super) fn refused(&self, why: Unpulled, offered: &[String]) -> RuntimeError {
        let (reference, registry) = (self.reference, self.registry());
        let not_here = format!("the image {reference} is not here and its registry {registry}");
        match why {
            Unpulled::NotGiven(said) => RuntimeError::ImageMissing(self.not_given(&not_here, &said)),
            Unpulled::OtherPlatforms(said) => {
                let wanted = if self.platform.is_empty() { "the platform of the server" } else { self.platform };
                let has = match offered {
                    [] => "it for other platforms only".to_owned(),
                    offered => format!("it for {}", offered.join(", ")),
                };
                RuntimeError::ImageMissing(format!(
                    "{not_here} does not have it for {wanted}, it has {has} ({said}): correct `platform`, or push one for it"
                ))
            }
            Unpulled::NotPushed(said) => RuntimeError::NotPushed(format!("{not_here} does not have it ({said})")),
            Unpulled::Away(_, text) => RuntimeError::Busy(text),
            Unpulled::Other(error) => error,
        }
    }

    fn not_given(&self, not_here: &str, said: &str) -> String {
        let help = "push it, or correct the reference";
        match self.login {
            Some(login) => {
                let secret = login.secret();
                format!(
                    "{not_here} does not give it for the secret {secret} ({said}): {help}, or the secret (`cutover secret \
                     set`)"
                )
            }
            None => format!(
                "{not_here} does not give it ({said}): {help}, or name the secret that opens the registry \
                 (`image.credentials`)"
            ),
        }
    }
}

/// Whom Docker asked, `scheme://host`: as it says itself, or by the name of the registry.
fn server(said: &str, registry: &str) -> String {
    let begin = said.find("https://").or_else(|| said.find("http://"));
    let asked = begin.and_then(|begin| {
        let (scheme, rest) = said[begin..].split_once("://")?;
        let host = rest.split(['/', '"', ' ', '?']).next().filter(|host| !host.is_empty())?;
        Some(format!("{scheme}://{host}"))
    });
    asked.unwrap_or_else(|| if registry == HUB { HUB_SERVER.to_owned() } else { format!("https://{registry}") })
}

/// The name in `scheme://host:port`.
fn name(server: &str) -> &str {
    let host = server.split_once("://").map_or(server, |(_, host)| host);
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = "h.test:5000/shop/web:1";

    fn asked(reference: &str) -> Asked<'_> {
        Asked { reference, platform: "", login: None }
    }

    fn error(status_code: u16, message: &str) -> Error {
        Error::DockerResponseServerError { status_code, message: message.to_owned() }
    }

    fn line(message: &str) -> RuntimeError {
        let asked = asked(REFERENCE);
        asked.refused(asked.why(&error(500, message)), &[])
    }

    #[test]
    fn a_registry_that_says_no_is_told_from_one_that_is_away() {
        for absent in [
            error(404, "manifest for a:1 not found: manifest unknown: manifest unknown"),
            error(404, "name unknown: repository name not known to registry"),
        ] {
            assert!(matches!(asked("a:1").why(&absent), Unpulled::NotPushed(_)));
        }
        for no in [
            error(404, "pull access denied for a, repository does not exist or may require 'docker login'"),
            error(404, "pull access denied for a: denied: manifest unknown"),
            error(500, "Get https://h/v2/a/manifests/1: no basic auth credentials"),
        ] {
            assert!(matches!(asked("a:1").why(&no), Unpulled::NotGiven(_)));
        }
        // Go's name service has no word of its own for these two.
        for away in [
            "Get \"http://h/v2/\": dial tcp: connect: connection refused",
            "Get \"https://h/v2/\": dial tcp: lookup h: Name not found, try again",
        ] {
            assert!(matches!(asked("a:1").why(&error(500, away)), Unpulled::Away(..)), "{away}");
        }
    }

    #[test]
    fn a_registry_that_is_not_reached_is_named_with_the_reason_and_what_checks_it() {
        let began = |reason: &str| {
            format!(
                "Docker was asked for the image {REFERENCE} and could not reach its registry h.test:5000: {reason} ("
            )
        };
        for (said, reason, check) in [
            ("dial tcp: lookup h.test on 192.0.2.1:53: no such host", "no such host", "`getent hosts h.test`"),
            ("dial tcp: lookup h.test on 192.0.2.1:53: server misbehaving", NOT_LOOKED_UP, "`getent hosts h.test`"),
            (
                "dial tcp: lookup h.test on 192.0.2.1:53: read udp 192.0.2.2:4->192.0.2.1:53: i/o timeout",
                NOT_LOOKED_UP,
                "`getent hosts h.test`",
            ),
            (
                "dial tcp 192.0.2.1:5000: connect: connection refused",
                "the connection was refused",
                "`curl -v https://h.test:5000/v2/`",
            ),
            ("dial tcp 192.0.2.1:5000: i/o timeout", "time-out", "`curl -v https://h.test:5000/v2/`"),
            (
                "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
                "time-out",
                "`curl -v https://h.test:5000/v2/`",
            ),
            ("net/http: TLS handshake timeout", "time-out", "`curl -v https://h.test:5000/v2/`"),
            (
                "dial tcp 192.0.2.1:5000: connect: no route to host",
                "there is no way to it",
                "`curl -v https://h.test:5000/v2/`",
            ),
        ] {
            let error = line(&format!("Get \"https://h.test:5000/v2/\": {said}"));
            let text = error.to_string();
            assert!(text.starts_with(&began(reason)) && text.contains(said) && text.contains(check), "{text}");
            assert!(matches!(error, RuntimeError::Busy(_)), "{error:?}");
        }
    }

    #[test]
    fn whatever_else_goes_wrong_on_the_way_is_tried_again_and_says_what_it_is() {
        for (said, words) in [
            ("unexpected EOF", "the connection to its registry h.test:5000 broke off (unexpected EOF)"),
            ("Get \"http://h.test:5000/v2/shop/web/manifests/1\": EOF", "broke off"),
            ("read tcp 192.0.2.2:4->192.0.2.1:5000: read: connection reset by peer", "broke off"),
            ("toomanyrequests: You have reached your pull rate limit.", "wants to be asked less often"),
            ("received unexpected HTTP status: 502 Bad Gateway", "has trouble of its own"),
            ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "there is no room for it"),
            ("something new", "could not have it from its registry h.test:5000 (something new)"),
        ] {
            let error = line(said);
            assert!(matches!(&error, RuntimeError::Busy(text) if text.contains(words)), "{error:?}");
        }
        let silent = asked(REFERENCE).silent(Duration::from_secs(120));
        assert!(
            matches!(silent, Unpulled::Away(_, text) if text.contains("for 120 s nothing has come from its registry"))
        );
        let slow = asked(REFERENCE).too_long(Duration::from_secs(1800));
        assert!(matches!(slow, Unpulled::Away(_, text) if text.contains("within 1800 s it has not come whole")));
        let gone = Error::IOError { err: std::io::Error::from(std::io::ErrorKind::ConnectionReset) };
        assert!(matches!(asked(REFERENCE).why(&gone), Unpulled::Other(RuntimeError::Unavailable(_))));
    }

    #[test]
    fn a_certificate_that_docker_does_not_take_is_the_end_and_says_what_to_do() {
        let authority = "/etc/docker/certs.d/h.test:5000/ca.crt";
        for (said, words) in [
            ("x509: certificate signed by unknown authority", &["does not trust", authority][..]),
            ("tls: failed to verify certificate: x509: certificate signed by unknown authority", &[authority]),
            (
                "x509: certificate has expired or is not yet valid: current time 2026-01-02T00:00:00Z is after \
                 2026-01-01T00:00:00Z",
                &["has expired, or is not valid yet", "renew it"],
            ),
            ("x509: certificate is valid for other.test, not h.test", &["for another name", "other.test"]),
            (
                "x509: cannot validate certificate for 192.0.2.1 because it doesn't contain any IP SANs",
                &["for another name"],
            ),
            ("x509: certificate relies on legacy Common Name field, use SANs instead", &["for another name"]),
            ("x509: certificate specifies an incompatible key usage", &["does not take the certificate"]),
            ("remote error: tls: bad certificate", &["client.cert", "/etc/docker/certs.d/h.test:5000"]),
            ("http: server gave HTTP response to HTTPS client", &["speaks plain HTTP", "\"insecure-registries\""]),
        ] {
            let error = line(&format!("Get \"https://h.test:5000/v2/\": {said}"));
            let RuntimeError::Refused(text) = &error else { panic!("{said}: {error:?}") };
            let whole = text.contains(said) && text.contains("registry h.test:5000") && !text.contains('\n');
            assert!(whole && words.iter().all(|word| text.contains(word)), "{text}");
        }
        // Docker looks into no folder of its own for Docker Hub.
        let hub = asked("nginx").why(&error(500, "x509: certificate signed by unknown authority"));
        assert!(
            matches!(&hub, Unpulled::Other(RuntimeError::Refused(text)) if text.contains("update-ca-certificates")),
            "{hub:?}"
        );
    }

    #[test]
    fn a_platform_that_is_not_there_is_named_beside_those_that_are() {
        let said = "no matching manifest for linux/s390x in the manifest list entries";
        let asked = Asked { platform: "linux/s390x", ..asked(REFERENCE) };
        let why = asked.why(&Error::DockerStreamError { error: said.to_owned() });
        let told = |offered: &[String]| match asked.refused(Unpulled::OtherPlatforms(said.to_owned()), offered) {
            RuntimeError::ImageMissing(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(why, Unpulled::OtherPlatforms(said.to_owned()));
        assert!(told(&[]).contains("does not have it for linux/s390x, it has it for other platforms only"));
        let offered = ["linux/amd64".to_owned(), "linux/arm/v7".to_owned()];
        assert!(told(&offered).contains("it has it for linux/amd64, linux/arm/v7"));
    }

    #[test]
    fn nothing_that_opens_a_registry_is_repeated_not_even_in_part() {
        let login = Login::read("registry", b"anna:a-long-password").unwrap();
        let asked = Asked { login: Some(&login), ..asked(REFERENCE) };
        // Where the line is cut, the password is in the middle.
        let said = format!("{} a-long-password", "x".repeat(290));
        let text = asked.refused(asked.why(&error(500, &said)), &[]).to_string();
        assert!(text.contains("[secret") && !text.contains("a-long"), "{text}");
        let why = asked.refused(asked.why(&error(404, "denied for a-long-password")), &[]).to_string();
        assert!(why.contains("for the secret registry (denied for [secret])"), "{why}");
    }
}
