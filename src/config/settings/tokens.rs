//! Settings of tokens: the keys, who has to show one, and what it has to say.

use std::sync::Arc;

use crate::identity::{Keys, Parties};
use crate::outbound::jwks::KeyUrl;
use crate::service::authenticator::{Auth, Authenticator};
use crate::time::ticks;

use super::{Check, DAY, MILLIS, set};
use crate::config::keys::KeyFiles;
use crate::config::layer;

impl Check<'_> {
    pub(super) fn key_files(&self) -> KeyFiles {
        let files = |given: &Option<Vec<_>>| given.clone().unwrap_or_default();
        KeyFiles {
            secrets: files(&self.layer.token_secret_file),
            public_keys: files(&self.layer.token_public_key),
        }
    }

    /// The URL that keys are fetched from.
    pub(super) fn token_jwks(&self) -> Result<Option<KeyUrl>, String> {
        let url = self.layer.token_jwks.as_deref().map(KeyUrl::parse).transpose();
        url.map_err(|error| self.at("token-jwks", &error))
    }

    /// `fetches`: keys come from a URL, beside those of the files.
    pub(super) fn authenticator(&self, files: &KeyFiles, fetches: bool) -> Result<Authenticator, String> {
        let keys = files.read().map_err(|(setting, error)| self.at(setting, &error))?;
        let has_key = fetches || !keys.is_empty();
        let parties = self.parties(has_key)?;
        let make = if fetches { Keys::fetching } else { Keys::between };
        let keys = has_key.then(|| Arc::new(make(keys, parties)));
        let certificates = set(self.layer.tls_client_user);
        let auth = match self.layer.auth {
            Some(layer::AuthFlag::Early) if certificates => Auth::Early,
            Some(layer::AuthFlag::Early | layer::AuthFlag::Late) if keys.is_none() => {
                let error = "tokens need a key: --token-secret-file FILE, --token-public-key FILE.pem, or \
                             --token-jwks URL";
                return Err(self.at("auth", error));
            }
            Some(layer::AuthFlag::None) => Auth::None,
            Some(layer::AuthFlag::Late) => Auth::Late,
            Some(layer::AuthFlag::Early) => Auth::Early,
            None if keys.is_some() || certificates => Auth::Early,
            None => Auth::None,
        };
        let timeout = self.span("auth-timeout", self.layer.auth_timeout, MILLIS(100)..=DAY)?;
        Ok(Authenticator { auth, keys, timeout: ticks(timeout), certificates })
    }

    /// The audience and the issuer that tokens have to name.
    fn parties(&self, has_key: bool) -> Result<Parties, String> {
        let given = |key, text: &Option<String>| match text.as_deref() {
            Some("") => Err(self.at(key, "it is empty: leave it out where tokens have none")),
            Some(_) if !has_key => {
                let error = "tokens are not looked at without a key: --token-secret-file FILE, \
                             --token-public-key FILE.pem, or --token-jwks URL";
                Err(self.at(key, error))
            }
            _ => Ok(text.clone()),
        };
        Ok(Parties {
            audience: given("token-audience", &self.layer.token_audience)?,
            issuer: given("token-issuer", &self.layer.token_issuer)?,
        })
    }
}
