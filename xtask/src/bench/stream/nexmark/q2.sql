SELECT auction, price FROM STREAM bid WHERE auction % 123 = 0
