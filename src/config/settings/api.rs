//! Access to the API, and what else is served over HTTP.

use std::sync::Arc;

use crate::http::api::guard::{Access, Guard};
use crate::http::api::keys::ApiKeys;
use crate::http::router::Off;

use super::{Check, set};
use crate::config::address::ListenEndpoint;
use crate::config::api_keys::KeySource;
use crate::config::layer::Switch;

impl Check<'_> {
    /// The guard of the API; without a key until the server has made one. The first `public` endpoints are for
    /// everybody.
    pub(super) fn guard(
        &self,
        keys: &KeySource,
        endpoints: &[ListenEndpoint],
        public: usize,
    ) -> Result<Guard, String> {
        let keys = keys.read().map_err(|(key, error)| self.at(key, &error))?;
        let mut cors = self.layer.cors_origin.clone().unwrap_or_default();
        // Any page can have the origin `null`: it has only to be shown in a sandboxed frame.
        let open = cors.iter().find(|origin| ["*", "null"].contains(&origin.as_str()));
        if let Some(open) = open.filter(|_| keys.is_empty()) {
            let error = format!(
                "`{open}` is for pages that bring a key, and none of them has the one that is made for a run; set \
                 --api-key-file"
            );
            return Err(self.at("cors-origin", &error));
        }
        if cors.iter().any(|origin| origin == "*") {
            cors = vec!["*".to_owned()];
        } else {
            cors = self.origins("cors-origin", Some(&cors))?;
        }
        let listeners = (0..).zip(endpoints).map(|(nth, endpoint)| access(endpoint, nth >= public));
        Ok(Guard { keys: Arc::new(ApiKeys::new(&keys)), origins: cors, listeners: listeners.collect() })
    }
}

impl Check<'_> {
    /// The paths that are not served. Where everybody has to show a token (`is_closed`) nobody comes in without one, to
    /// echo either, unless somebody says so.
    pub(super) fn off(&self, is_closed: bool) -> Off {
        Off {
            echo: self.layer.echo.map_or(is_closed || set(self.layer.exec_alone), |echo| echo == Switch::Off),
            page: set(self.layer.page) == Switch::Off,
        }
    }
}

fn access(endpoint: &ListenEndpoint, is_admin: bool) -> Access {
    match endpoint {
        ListenEndpoint::Unix(_) => Access::UnixSocket,
        ListenEndpoint::Tcp(address) | ListenEndpoint::Tls(address) if is_admin => {
            Access::Admin { loopback: address.ip().to_canonical().is_loopback() }
        }
        ListenEndpoint::Tcp(_) | ListenEndpoint::Tls(_) => Access::Key,
    }
}
