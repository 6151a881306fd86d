//! What opens a registry: read out of a secret, in the forms that people have it in.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The user that helpers of Docker name where they give an identity token.
const TOKEN_USER: &str = "<token>";
/// Characters of a password below which it is not taken out of texts: it would be found everywhere.
const MIN_SCRUBBED: usize = 4;

/// Name and password, or a token, for a registry. Its debug form and its texts have neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    secret: String,
    user: Zeroizing<String>,
    password: Zeroizing<String>,
    identity_token: Zeroizing<String>,
}

/// A value that opens no registry; it is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret {0} does not open a registry: its value must be user:password in one line, or JSON as in Docker's \
     config.json, {{\"username\", \"password\"}}, {{\"auth\"}} or {{\"identitytoken\"}}"
)]
pub struct BadLogin(String);

/// The forms of Docker's `config.json` and of what its helpers print.
#[derive(Deserialize)]
struct Form {
    #[serde(default, alias = "Username")]
    username: String,
    #[serde(default, alias = "Secret", alias = "Password")]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

impl Login {
    /// What the value of a secret says.
    ///
    /// # Errors
    /// It has none of the forms.
    pub fn read(secret: &str, value: &[u8]) -> Result<Self, BadLogin> {
        let bad = || BadLogin(secret.to_owned());
        let text = std::str::from_utf8(value).map_err(|_| bad())?.trim();
        let login = |user: &str, password: &str, token: &str| Self {
            secret: secret.to_owned(),
            user: Zeroizing::new(user.to_owned()),
            password: Zeroizing::new(password.to_owned()),
            identity_token: Zeroizing::new(token.to_owned()),
        };
        if !text.starts_with('{') {
            let (user, password) = pair(text).ok_or_else(bad)?;
            return Ok(login(user, password, ""));
        }
        let form: Form = serde_json::from_str(text).map_err(|_| bad())?;
        let (password, auth) = (Zeroizing::new(form.password), Zeroizing::new(form.auth));
        let token = Zeroizing::new(form.identitytoken);
        if !token.is_empty() {
            return Ok(login("", "", &token));
        }
        if form.username == TOKEN_USER && !password.is_empty() {
            return Ok(login("", "", &password));
        }
        if !form.username.is_empty() && !password.is_empty() {
            return Ok(login(&form.username, &password, ""));
        }
        let decoded = Zeroizing::new(BASE64_STANDARD.decode(auth.trim()).map_err(|_| bad())?);
        let (user, password) = std::str::from_utf8(&decoded).ok().and_then(pair).ok_or_else(bad)?;
        // Docker itself pads what it writes there with zero bytes.
        Ok(login(user, password.trim_end_matches('\0'), ""))
    }

    /// The name of the secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Who; empty with a token.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password; empty with a token.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// What stands for user and password; empty without one.
    #[must_use]
    pub fn identity_token(&self) -> &str {
        &self.identity_token
    }

    /// A text of others without what opens the registry, should one ever repeat it.
    #[must_use]
    pub fn scrubbed(&self, text: &str) -> String {
        let values = [&self.password, &self.identity_token];
        let long = values.into_iter().filter(|value| value.len() >= MIN_SCRUBBED);
        long.fold(text.to_owned(), |text, value| text.replace(value.as_str(), "[secret]"))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("secret", &self.secret).finish_non_exhaustive()
    }
}

/// `user:password`, of one line.
fn pair(text: &str) -> Option<(&str, &str)> {
    let (user, password) = text.split_once(':')?;
    let good = !user.is_empty() && !password.is_empty() && !text.contains(['\n', '\r']);
    good.then_some((user, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_opens_a_registry() {
        let auth = format!("{{\"auth\": \"{}\"}}", BASE64_STANDARD.encode("anna:pa:ss"));
        let padded = format!("{{\"auth\": \"{}\"}}", BASE64_STANDARD.encode("anna:pa:ss\0\0"));
        for text in [
            "anna:pa:ss\n",
            "{\"username\": \"anna\", \"password\": \"pa:ss\", \"email\": \"a@b\"}",
            "{\"ServerURL\": \"h\", \"Username\": \"anna\", \"Secret\": \"pa:ss\"}",
            &auth,
            &padded,
        ] {
            let login = Login::read("registry", text.as_bytes()).unwrap();
            assert_eq!((login.user(), login.password(), login.identity_token()), ("anna", "pa:ss", ""), "{text}");
        }
        for text in
            ["{\"auth\": \"\", \"identitytoken\": \"t0ken\"}", "{\"Username\": \"<token>\", \"Secret\": \"t0ken\"}"]
        {
            let login = Login::read("registry", text.as_bytes()).unwrap();
            assert_eq!((login.user(), login.password(), login.identity_token()), ("", "", "t0ken"), "{text}");
        }
    }

    #[test]
    fn what_opens_none_is_named_and_not_repeated() {
        let auth = format!("{{\"auth\": \"{}\"}}", BASE64_STANDARD.encode("hunter2"));
        for text in
            ["hunter2", "", ":hunter2", "anna:", "anna:hunter2\nmore", "{\"username\": \"hunter2\"}", "{hunter2", &auth]
        {
            let why = Login::read("registry", text.as_bytes()).unwrap_err().to_string();
            assert!(why.contains("the secret registry") && !why.contains("hunter2"), "{text}: {why}");
        }
        assert!(Login::read("registry", &[0xff, b':', b'x']).is_err());
    }

    #[test]
    fn no_text_of_it_holds_a_value() {
        let login = Login::read("registry", b"anna:hunter2").unwrap();
        assert!(!format!("{login:?}").contains("hunter2"));
        assert_eq!(login.scrubbed("denied for hunter2"), "denied for [secret]");
        assert_eq!(Login::read("r", b"anna:ab").unwrap().scrubbed("about"), "about");
    }
}
