package main

import "example.com/mailbox-operator/internal/controller"

func main() { controller.Run() }
