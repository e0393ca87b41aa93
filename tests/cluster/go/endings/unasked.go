package main

import "log"

func unasked() { log.Println("what nobody asks for") }
