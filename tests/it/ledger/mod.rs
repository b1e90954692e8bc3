//! The store: one contract for every backend, random histories against a model, and what is SQLite's own.

mod contract;
mod groups;
mod history;
mod listing;
mod model;
mod purge;
mod redrive;
mod start;
mod unreadable;

/// Runs each promise against each backend.
macro_rules! promises {
    ($($name:ident,)+) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(crate::helpers::store::Stand::sqlite()).await;
                }
            )+
        }
    };
}
pub(crate) use promises;
