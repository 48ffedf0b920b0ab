//! The only modules with `unsafe`: system calls that std and socket2 do not offer, each with its reason.

#![allow(unsafe_code)]

pub mod disk;
pub mod eventfd;
pub mod socket;
pub mod thread;
pub mod undelivered;
