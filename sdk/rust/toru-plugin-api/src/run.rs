//! The whole program of a plugin.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{json, Value};

use crate::log::write_failure;
use crate::plugin::ToruPlugin;
use crate::server::serve;

const MIN_THREADS: usize = 4;
const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;

/// Is the program of a plugin: answers `--metadata`, or serves the plugin until it is told to stop.
///
/// ```no_run
/// use std::process::ExitCode;
/// # use toru_plugin_api::{HttpRequest, HttpResponse, PluginContext, PluginFuture};
/// # use toru_plugin_api::{PluginMetadata, ToruPlugin};
///
/// struct Hello;
///
/// impl ToruPlugin for Hello {
///     fn metadata(&self) -> PluginMetadata {
///         PluginMetadata::new("hello", "Hello", "1.0.0", "/hello")
///     }
///
///     fn handle_http(
///         &self,
///         request: HttpRequest,
///         _: PluginContext,
///     ) -> PluginFuture<'_, HttpResponse> {
///         Box::pin(async move { Ok(HttpResponse::text(format!("You asked for {}", request.path))) })
///     }
/// }
///
/// fn main() -> ExitCode {
///     toru_plugin_api::run(Hello)
/// }
/// ```
pub fn run(plugin: impl ToruPlugin) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--metadata"] {
        return print_metadata(&plugin);
    }
    if !arguments.is_empty() {
        let given = arguments.join(" ");
        return refuse(&format!("it takes no arguments but --metadata, not {given}"));
    }
    match std::env::var_os("TORU_PLUGIN_SOCKET").filter(|path| !path.is_empty()) {
        None => refuse("TORU_PLUGIN_SOCKET is not set; Toru starts it from its plugins folder"),
        Some(path) => serve_on_threads(plugin, &path),
    }
}

fn print_metadata(plugin: &impl ToruPlugin) -> ExitCode {
    let mut told = json!(plugin.metadata());
    told["protocols"] = json!([1, 2]);
    told["health"] = json!(true);
    let mut line = Value::to_string(&told);
    line.push('\n');
    match std::io::stdout().write_all(line.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(EXIT_FAILED),
    }
}

fn refuse(sentence: &str) -> ExitCode {
    eprintln!("This program is a plugin of Toru: {sentence}.");
    ExitCode::from(EXIT_USAGE)
}

fn serve_on_threads(plugin: impl ToruPlugin, path: &std::ffi::OsStr) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let threads = cores.max(MIN_THREADS);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(serve(plugin, path));
            runtime.shutdown_background(); // a handler that blocks its thread holds nothing up
            outcome
        }
        Err(error) => Err(error.into()),
    };
    outcome.map_or_else(
        |error| {
            write_failure("The plugin cannot start.", &error.to_string());
            ExitCode::from(EXIT_FAILED)
        },
        ExitCode::from,
    )
}
