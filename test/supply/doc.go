// Package supply holds what somebody who installs Evergate has to rely on: that a release
// can be rebuilt bit by bit, that what builds it is pinned and may do no more than it must,
// and that the two descriptions of the packages say the same.
package supply
