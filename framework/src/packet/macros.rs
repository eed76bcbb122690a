//! What would otherwise be written once per field or per code point.

/// A getter and a setter for each plain field of a header.
///
/// `getter, setter: Type = field;` relies on `Wire<Type>` for the type of `field`.
macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $ty:ty = $field:ident;)+) => {$(
        $(#[$doc])*
        #[inline]
        #[must_use]
        pub fn $get(&self) -> $ty {
            $crate::packet::wire::Wire::<$ty>::read(&self.$field)
        }

        #[doc = concat!("Writes [`", stringify!($get), "`](Self::", stringify!($get), ").")]
        #[inline]
        pub fn $set(&mut self, value: $ty) {
            $crate::packet::wire::Wire::<$ty>::write(&mut self.$field, value);
        }
    )+};
}

/// `Debug` by calling the getters named, so that showing a header calls all of them.
macro_rules! debug_fields {
    ($name:ident: $($get:ident),+ $(,)?) => {
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($get), &self.$get()))+.finish()
            }
        }
    };
}

/// A number from a registry: a newtype with named values, shown by name where it has one.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident($int:ty) { $($(#[$item:meta])* $const:ident = $value:literal $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$item])* pub const $const: Self = Self($value);)+
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match *self {
                    $(Self::$const => f.pad($text),)+
                    Self(other) => write!(f, "{other:#04x}"),
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }
    };
}

/// Lets a [`code!`] be the type of a field: `code_field!(Name in FieldType)`.
macro_rules! code_field {
    ($($name:ident in $field:ty),+) => {$(
        impl $crate::packet::wire::Wire<$name> for $field {
            #[inline]
            fn read(&self) -> $name {
                $name($crate::packet::wire::Wire::read(self))
            }

            #[inline]
            fn write(&mut self, value: $name) {
                $crate::packet::wire::Wire::write(self, value.0);
            }
        }
    )+};
}
