module example.com/mailbox-operator

go 1.24.0
