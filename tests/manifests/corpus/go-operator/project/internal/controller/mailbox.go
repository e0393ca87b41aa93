// Package controller keeps mailboxes as they are wanted.
package controller

// Run watches them.
func Run() { select {} }
