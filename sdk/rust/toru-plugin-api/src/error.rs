//! What can go wrong, in a plugin and between it and the core.

use std::fmt;
use std::io;

/// Why something failed.
///
/// A handler may return any of these. [`PluginError::Http`] becomes the answer that it describes;
/// everything else becomes a 500 that tells nothing, and its text goes to the plugin's log.
#[derive(Debug)]
#[non_exhaustive]
pub enum PluginError {
    /// A file or a socket failed.
    Io(io::Error),
    /// Something is no JSON, or not of the shape that was expected.
    Json(serde_json::Error),
    /// What came over a connection is not the protocol.
    Protocol {
        /// `BAD_FRAME`, `TOO_LARGE` or `FLOW`.
        code: &'static str,
        /// One sentence.
        message: String,
    },
    /// The core refused a call, or did not answer it.
    Call {
        /// `DENIED`, `CONFLICT`, `BUSY`, `DEADLINE`, `CANCELLED` and so on.
        code: String,
        /// What the core says.
        message: String,
        /// Whether the same call may work later.
        retryable: bool,
    },
    /// What whoever asked is to be answered.
    Http {
        /// The status, such as 404.
        status: u16,
        /// A short name in snake case, such as `not_found`.
        code: String,
        /// One sentence for a person.
        message: String,
    },
    /// The plugin cannot work before somebody configures it. From [`ToruPlugin::init`] this ends
    /// the process with exit code 78, after which the core does not start it again.
    ///
    /// [`ToruPlugin::init`]: crate::ToruPlugin::init
    NeedsConfiguration(String),
    /// Anything else.
    Failed(String),
}

impl PluginError {
    /// Returns an error that is answered with this status.
    pub fn http(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        PluginError::Http { status, code: code.into(), message: message.into() }
    }

    /// Returns the usual answer to a path that there is not.
    pub fn not_found() -> Self {
        PluginError::http(404, "not_found", "There is nothing at this address.")
    }

    /// Returns an error made of any other, for `map_err`.
    pub fn other(error: impl fmt::Display) -> Self {
        PluginError::Failed(error.to_string())
    }

    pub(crate) fn protocol(code: &'static str, message: impl Into<String>) -> Self {
        PluginError::Protocol { code, message: message.into() }
    }

    pub(crate) fn call(code: &str, message: impl Into<String>) -> Self {
        PluginError::Call {
            code: code.to_owned(),
            message: message.into(),
            retryable: code == "DEADLINE",
        }
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PluginError::Io(error) => error.fmt(to),
            PluginError::Json(error) => error.fmt(to),
            PluginError::Protocol { code, message } => write!(to, "{code}: {message}"),
            PluginError::Call { code, message, .. } => write!(to, "{code}: {message}"),
            PluginError::Http { status, message, .. } => write!(to, "{status}: {message}"),
            PluginError::NeedsConfiguration(message) => {
                write!(to, "It needs configuration: {message}")
            }
            PluginError::Failed(message) => to.write_str(message),
        }
    }
}

impl std::error::Error for PluginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PluginError::Io(error) => Some(error),
            PluginError::Json(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for PluginError {
    fn from(error: io::Error) -> Self {
        PluginError::Io(error)
    }
}

impl From<serde_json::Error> for PluginError {
    fn from(error: serde_json::Error) -> Self {
        PluginError::Json(error)
    }
}

impl From<String> for PluginError {
    fn from(message: String) -> Self {
        PluginError::Failed(message)
    }
}

impl From<&str> for PluginError {
    fn from(message: &str) -> Self {
        PluginError::Failed(message.to_owned())
    }
}
