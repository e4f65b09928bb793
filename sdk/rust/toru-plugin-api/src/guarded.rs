//! What authors write must not end the process, nor leave anybody waiting, by a panic.

use std::any::Any;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::PluginError;
use crate::plugin::PluginFuture;

/// A future of the plugin, whose panics are errors.
pub(crate) struct Guarded<'a, T>(pub PluginFuture<'a, T>);

impl<T> Future for Guarded<'_, T> {
    type Output = Result<T, PluginError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.0.as_mut();
        catch_unwind(AssertUnwindSafe(|| inner.poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(PluginError::Failed(panic_text(&*panic)))))
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("with something that is no text"))
}
