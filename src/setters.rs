//! Setters of the fields of a configuration that may get more fields: a struct that is `#[non_exhaustive]`
//! can't be written as a literal in other crates.

/// `with_tasks: tasks` is a method that returns the struct with another `tasks`. For this repository's crates.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($of:ident: $($with:ident: $field:ident: $type:ty),+ $(,)?) => {
        impl $of {
            $(
                #[doc = concat!("The same with this `", stringify!($field), "`.")]
                #[must_use]
                pub const fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}
pub(crate) use setters;
